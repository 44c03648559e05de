/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the emulated processor is not what the manual says. */
#ifndef DIFFERENTIAL_PECULIAR_H
#define DIFFERENTIAL_PECULIAR_H

#include "judge.h"
#include "state.h"

/* What QEMU 7.2's TCG, or Bochs, makes of a vCPU of which `report` says what a real processor does. `lost`: KVM loses
 * what it may lose. */
enum nm_consequence peculiar_outcome(const struct nestmig_state *state,
				     const struct nm_vcpu_report *report, bool lost);

/* Is it a rule that the emulated processor does not have? */
bool peculiar_lacks(const struct nestmig_state *state, const struct nm_rule *rule);

#endif
