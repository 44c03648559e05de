/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vCPUs of a state in a QEMU that is there. */
#ifndef NESTMIG_CPUS_H
#define NESTMIG_CPUS_H

#include <jansson.h>

#include "state.h"

/*
 * Gives every vCPU the CPUID that the CPUs of live_query_cpus have; where QEMU does not tell, none. Errors:
 * CAPABILITY (not the same vCPUs: text says which), FORMAT.
 */
NESTMIG_CHECKED enum nestmig_error cpus_take(struct nestmig_state *state, const json_t *cpus,
					     struct nestmig_detail *detail);

#endif
