/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every condition of the catalogue on SMRAM: it is a rule, or not-judged.def says
 * why not. */
#ifndef NESTMIG_CATALOGUE_SMM_H
#define NESTMIG_CATALOGUE_SMM_H

static const char *const catalogue_smm[] = {NULL};

#endif
