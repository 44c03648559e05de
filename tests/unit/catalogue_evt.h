/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every condition of the catalogue on vCPU events, sregs, debug registers and mp_state: it is a rule, or not-judged.def says
 * why not. */
#ifndef NESTMIG_CATALOGUE_EVT_H
#define NESTMIG_CATALOGUE_EVT_H

static const char *const catalogue_evt[] = {NULL};

#endif
