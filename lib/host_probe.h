/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions to KVM that only a VM answers: what it accepts and refuses, whatever its version says. No probe
 * makes any known kernel warn, crash or leak; what can only be told apart that way is not asked.
 */
#ifndef NESTMIG_HOST_PROBE_H
#define NESTMIG_HOST_PROBE_H

#include "nestmig.h"

#define NM_PROBE_NAME  32 /* bytes of a probe's name and of its result, with the NUL */
#define NM_PROBE_VALUE 32

/* The number of probes, their names, and what the one of a name tries, in a few words; "" for another name. */
size_t nm_probe_count(void);
const char *nm_probe_name(size_t index);
const char *nm_probe_title(const char *name);

/*
 * Asks one question of the running KVM with a VM of its own, which is gone afterwards: to be called in a
 * process that can be ended, because KVM_RUN may not come back. Returns one word ("accepted", "refused",
 * "clear", "set"), a number as text, or NULL: this KVM cannot be asked (it is the other vendor's, it has no
 * nesting, or what the question rests on was refused). The word lives in `buffer` or is a constant.
 */
const char *nm_probe_ask(size_t index, int kvm, char buffer[NM_PROBE_VALUE]);

#endif
