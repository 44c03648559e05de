/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates of the rules on the SMRAM save area: what RSM will load. Needs no libc. */
#ifndef NESTMIG_SMRAM_PREDICATES_H
#define NESTMIG_SMRAM_PREDICATES_H

#include "../view.h"

#endif
