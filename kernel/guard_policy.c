// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is denied: a rule that is an error, and of which on this kernel something follows other than that L2
 * resumes,
 *
 * - at KVM_SET_NESTED_STATE if KVM refuses that ioctl for it, or if it goes by nothing that another ioctl may
 *   still put right: the blob, the guest's CPUID and the host;
 * - at KVM_SET_VCPU_EVENTS likewise, of the events beside these;
 * - at KVM_RUN if it bites there, before L2 runs, and goes by something that was stuffed.
 *
 * What comes later, by L1's or L2's doing or at RSM, is told. So is a triple fault that waits: it was saved with
 * the vCPU, and L1 or nobody sees it here as there.
 */
#include "guard_policy.h"

#include <string.h>

#define HOST                                                                                       \
	(NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) | NESTMIG_HAVE(HOST_CPUID) |        \
	 NESTMIG_HAVE(HOST_CAPS) | NESTMIG_HAVE(HOST_MSRS))
#define BLOB                                                                                       \
	(NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCB12) | NESTMIG_HAVE(VMCS12) |                      \
	 NESTMIG_HAVE(SHADOW_VMCS12))
#define EVENTS                                                                                     \
	(NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE) | NESTMIG_HAVE(INT_SHADOW) |              \
	 NESTMIG_HAVE(VM_CAPS))
#define SREGS (NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(PDPTRS))
#define FIXED (BLOB | HOST | NESTMIG_HAVE(CPUID) | NESTMIG_HAVE(VMX_MSRS) | NESTMIG_HAVE(MEMORY))

static enum nm_consequence consequence_of(const struct nm_rule *rule, uint32_t kernel)
{
	return rule->changed && kernel >= rule->changed ? rule->after : rule->before;
}

static void set(uint64_t *bits, unsigned rule)
{
	bits[rule / 64] |= UINT64_C(1) << (rule % 64);
}

/* Between the ioctls and L2's first instruction. */
static bool bites_at_run(enum nm_stage stage)
{
	return stage == NM_STAGE_KVM_RUN || stage == NM_STAGE_KVM_ENTRY ||
	       stage == NM_STAGE_PAGE_TABLES || stage == NM_STAGE_HARDWARE_ENTRY;
}

static void add_run(struct nm_guard_config *config, unsigned rule, uint64_t reads)
{
	static const uint64_t kinds[NM_GUARD_STUFFED_KINDS] = {
		[NM_GUARD_STUFFED_NESTED] = ~UINT64_C(0),
		[NM_GUARD_STUFFED_SREGS] = SREGS,
		[NM_GUARD_STUFFED_REGS] = NESTMIG_HAVE(REGS),
		[NM_GUARD_STUFFED_EVENTS] = EVENTS,
	};

	for (unsigned kind = 0; kind < NM_GUARD_STUFFED_KINDS; kind++)
		if (reads & kinds[kind])
			set(config->deny_run[kind], rule);
}

static void add_rule(struct nm_guard_config *config, unsigned index,
		     const struct nm_consequence_row *row)
{
	const struct nm_rule *rule = &nm_rules[index];
	uint64_t reads = nm_rule_inputs(rule) | rule->may_read;
	bool at_run = bites_at_run(row->stage);

	if (rule->when == NM_WHEN_VMCS12)
		set(config->vmcs12, index);
	if ((reads & BLOB) && !(reads & ~FIXED))
		set(config->blob, index);
	else if ((reads & BLOB) && !(nm_rule_inputs(rule) & ~FIXED) && !(reads & ~(FIXED | EVENTS)))
		set(config->blob_events, index);
	if (row->stage == NM_STAGE_SET_NESTED_STATE || (at_run && !(reads & ~FIXED)))
		set(config->deny_nested, index);
	if (row->stage == NM_STAGE_SET_VCPU_EVENTS ||
	    (at_run && (reads & EVENTS) && !(reads & ~(FIXED | EVENTS))))
		set(config->deny_events, index);
	/* L2's registers may come after the ioctl that would have refused them. */
	if (at_run || ((reads & SREGS) && (row->stage == NM_STAGE_SET_SREGS ||
					   row->stage == NM_STAGE_SET_NESTED_STATE)))
		add_run(config, index, reads);
}

void nm_guard_policy(const struct nestmig_host_view *host, struct nm_guard_config *ret_config)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		enum nm_consequence consequence = consequence_of(&nm_rules[i], host->kernel);
		const struct nm_consequence_row *row = &nm_consequences[consequence];

		if (nm_rules[i].severity != NM_SEVERITY_ERROR ||
		    consequence == NM_CONSEQUENCE_NONE || !strcmp(row->outcome, "resumes"))
			continue;
		set(ret_config->wanted, i);
		add_rule(ret_config, i, row);
	}
}
