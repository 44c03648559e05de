/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates of the rules on sregs, events, debug registers and mp_state. Needs no libc. */
#ifndef NESTMIG_VCPU_PREDICATES_H
#define NESTMIG_VCPU_PREDICATES_H

#include "../view.h"

#endif
