/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What L1's next VM entry meets: warnings of nestmig, of which the oracle sees what comes of them. */
#ifndef DIFFERENTIAL_NEXT_H
#define DIFFERENTIAL_NEXT_H

#include "judge.h"

#define MAX_NEXT_RULES 16

struct next_entry {
	const char *outcome; /* a word of the oracle; NULL: nothing is wrong */
	const char *row;     /* of consequences.def */
	bool is_open;        /* a rule that could not be judged may come before */
	const struct nm_rule *rules[MAX_NEXT_RULES]; /* those that come to it first */
	unsigned rule_count;
};

/*
 * The first that KVM or the processor finds. Nothing where an SMI interrupted L2: RSM enters L2 again
 * without a look at the VMCS12. `as_emulated`: what the emulated processor lacks (peculiar.def) is left out.
 */
void next_find(const struct nestmig_state *state, const struct nm_vcpu_report *report,
	       bool as_emulated, struct next_entry *ret_next);

/* Did an SMI interrupt L2, so that RSM comes first? */
bool next_is_after_rsm(const struct nestmig_vcpu_view *view);

#endif
