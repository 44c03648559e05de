// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU 7.2's TCG as a processor: target/i386/tcg/sysemu/svm_helper.c, helper_vmrun. Bochs 2.7 as one:
 * cpu/vmx.cc, VMenterLoadCheckVmControls and what follows it.
 */
#include "peculiar.h"

#include <string.h>

#include "host.h"
#include "vmcb/vmcb12.h"
#include "vmcs/vmcs12.h"

#define EVENT_VALID          0x80000000u
#define EVENT_TYPE(event)    ((event) >> 8 & 7)
#define EVENT_TYPE_EXCEPTION 3
#define LAST_VECTOR          31
/* Of the low half: all but B0 to B3, enabled breakpoint and BS. */
#define PENDING_DEBUG_RESERVED UINT64_C(0xffffaff0)

static const enum nestmig_rule peculiar[] = {
#define PECULIAR(ident, reason) NESTMIG_RULE_##ident,
#define PECULIAR_BOCHS(ident, reason)
#define RACE(ident, reason)
#include "peculiar.def"
#undef PECULIAR
#undef PECULIAR_BOCHS
#undef RACE
};

static const enum nestmig_rule races[] = {
#define PECULIAR(ident, reason)
#define PECULIAR_BOCHS(ident, reason)
#define RACE(ident, reason) NESTMIG_RULE_##ident,
#include "peculiar.def"
#undef PECULIAR
#undef PECULIAR_BOCHS
#undef RACE
};

/* The last row is none: there may be no others. */
static const enum nestmig_rule peculiar_bochs[] = {
#define PECULIAR(ident, reason)
#define PECULIAR_BOCHS(ident, reason) NESTMIG_RULE_##ident,
#define RACE(ident, reason)
#include "peculiar.def"
#undef PECULIAR
#undef PECULIAR_BOCHS
#undef RACE
	NESTMIG_RULES,
};

static bool is_in(const enum nestmig_rule *rules, size_t count, unsigned rule)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i] == (enum nestmig_rule)rule)
			return true;
	return false;
}

static bool is_left_out(unsigned rule, bool is_vmx, bool lost)
{
	if (is_vmx)
		return is_in(peculiar_bochs, sizeof(peculiar_bochs) / sizeof(peculiar_bochs[0]),
			     rule);
	return is_in(peculiar, sizeof(peculiar) / sizeof(peculiar[0]), rule) ||
	       (lost && is_in(races, sizeof(races) / sizeof(races[0]), rule));
}

/*
 * TCG takes no exception 31 in event_inj, the manual does: L1's own, which is injected while a nested run is
 * pending, or one that KVM_SET_VCPU_EVENTS brings.
 */
static bool injects_last_vector(const struct nestmig_vcpu_view *v)
{
	const struct nestmig_events *events = &v->events;
	uint32_t event = v->vmcb12 ? vmcb12_event_inj(v->vmcb12) : 0;

	if ((events->exc_injected || events->exc_pending) && events->exc_nr == LAST_VECTOR)
		return true;
	/* takes the place of L1's */
	if (events->exc_injected || events->intr_injected || events->nmi_injected)
		return false;
	return (v->nested.flags & KVMNS_RUN_PENDING) && (event & EVENT_VALID) &&
	       EVENT_TYPE(event) == EVENT_TYPE_EXCEPTION && (event & 0xff) == LAST_VECTOR;
}

/*
 * Of the L2 that RSM enters, one rule says all that VMRUN does: it is left out if nothing but event_inj
 * breaks it, and by what its rules are left out for outside SMM.
 */
static bool is_event_after_rsm(const struct nestmig_ctx *ctx, unsigned rule, bool lost)
{
	struct nestmig_vcpu_view without = *ctx->v;
	struct nestmig_ctx calm = *ctx;
	uint8_t page[KVMNS_VMCB_SIZE];
	uint32_t event;

	if (rule != NESTMIG_RULE_smm_nest_l2_entry_fail || !ctx->v->smm_vmcb12)
		return false;
	event = (uint32_t)vmcb12_event_inj(ctx->v->smm_vmcb12);
	memcpy(page, ctx->v->smm_vmcb12, sizeof(page));
	memset(page + VMCB12_OFFSET_event_inj, 0, sizeof(event));
	without.smm_vmcb12 = page;
	calm.v = &without;
	if (nm_rules[rule].predicate(&calm) != NESTMIG_HOLDS)
		return false;
	if (EVENT_TYPE(event) != EVENT_TYPE_EXCEPTION)
		return lost;
	return (event & 0xff) == 4 || (event & 0xff) == 5;
}

/* Bochs reads 32 bits of the pending debug exceptions. */
static bool is_in_high_half(const struct nestmig_vcpu_view *v, unsigned rule)
{
	uint64_t pending = v->vmcs12 ? vmcs12_guest_pending_dbg_exceptions(v->vmcs12) : 0;

	return rule == NESTMIG_RULE_vmx_guest_pdbg_reserved && (pending >> 32) &&
	       !(pending & PENDING_DEBUG_RESERVED);
}

/*
 * Bochs is one of the processors that refuse to inject an NMI into a guest with blocking by STI (SDM: "A
 * processor may require"); nestmig warns.
 */
static bool refuses_nmi(const struct nm_vcpu_report *report)
{
	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].rule == &nm_rules[NESTMIG_RULE_vmx_guest_intr_nmi_sti] &&
		    report->findings[i].consequence == NM_CONSEQUENCE_VMENTRY_EXIT_33)
			return true;
	return false;
}

bool peculiar_lacks(const struct nestmig_state *state, const struct nm_rule *rule)
{
	unsigned index = (unsigned)(rule - nm_rules);

	return is_left_out(index, state->vendor == NESTMIG_VENDOR_INTEL, false) ||
	       is_in_high_half(&state->vcpus[0].view, index);
}

enum nm_consequence peculiar_outcome(const struct nestmig_state *state,
				     const struct nm_vcpu_report *report, bool lost)
{
	const struct nm_vcpu *vcpu = &state->vcpus[0];
	uint64_t broken[NM_RULE_WORDS] = {0};
	bool is_vmx = state->vendor == NESTMIG_VENDOR_INTEL;
	enum nm_consequence outcome;
	struct nestmig_ctx ctx;
	struct nm_order order;

	nm_order_parse(state->restore_order, &order);
	nm_ctx_init(&ctx, state, vcpu, &state->host->view, &order);
	for (size_t i = 0; i < report->finding_count; i++) {
		unsigned rule = (unsigned)(report->findings[i].rule - nm_rules);

		if (!is_left_out(rule, is_vmx, lost) && !is_in_high_half(&vcpu->view, rule) &&
		    !is_event_after_rsm(&ctx, rule, lost))
			broken[rule / 64] |= UINT64_C(1) << (rule % 64);
	}
	outcome = nm_predict(broken, &ctx, &order);
	if (nm_consequences[outcome].stage <= NM_STAGE_HARDWARE_ENTRY)
		return outcome;
	if (!is_vmx && injects_last_vector(&vcpu->view))
		return NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR;
	return is_vmx && refuses_nmi(report) ? NM_CONSEQUENCE_VMENTRY_EXIT_33 : outcome;
}
