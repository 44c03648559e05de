// SPDX-License-Identifier: LGPL-2.1-or-later
/* From broken rules to what the destination does: the order of a restore decides. */
#include "judge.h"

#include <string.h>
#include <strings.h>

#include "vmcb/vmcb12.h"
#include "vmcs/predicates.h"

/* Ioctls of a restore and the stage that each is. */
static const struct {
	const char *name; /* after "KVM_SET_" */
	enum nm_stage stage;
} ioctls[] = {
	{"SREGS", NM_STAGE_SET_SREGS},
	{"SREGS2", NM_STAGE_SET_SREGS},
	{"NESTED_STATE", NM_STAGE_SET_NESTED_STATE},
	{"REGS", NM_STAGE_SET_REGS},
	{"MSRS", NM_STAGE_SET_MSRS},
	{"VCPU_EVENTS", NM_STAGE_SET_VCPU_EVENTS},
	{"MP_STATE", NM_STAGE_SET_MP_STATE},
	{"DEBUGREGS", NM_STAGE_SET_DEBUGREGS},
};

static bool same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !strncasecmp(text, word, length);
}

/* The stage of one name of a restore order, NM_STAGES if it is none. */
static enum nm_stage stage_of(const char *text, size_t length)
{
	static const char prefix[] = "KVM_SET_";

	if (length > strlen(prefix) && !strncasecmp(text, prefix, strlen(prefix))) {
		text += strlen(prefix);
		length -= strlen(prefix);
	}
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (same_word(text, length, ioctls[i].name))
			return ioctls[i].stage;
	return NM_STAGES;
}

void nm_order_parse(const char *restore_order, struct nm_order *ret_order)
{
	static const char separators[] = ", \t\n";
	bool placed[NM_STAGES] = {false};
	uint8_t next = 0;

	for (const char *text = restore_order; text && *text;) {
		size_t length = strcspn(text, separators);
		enum nm_stage stage = stage_of(text, length);

		if (stage < NM_STAGES && !placed[stage]) {
			ret_order->rank[stage] = next++;
			placed[stage] = true;
		}
		text += length;
		text += strspn(text, separators);
	}
	for (unsigned stage = 0; stage < NM_STAGES; stage++)
		if (!placed[stage])
			ret_order->rank[stage] = next++;
}

/* Does a come before b? Of two at the same stage, the one that does not let the vCPU run; else the
 * rows of one stage stand in the order in which they come. */
static bool comes_first(enum nm_consequence a, enum nm_consequence b, const struct nm_order *order)
{
	const struct nm_consequence_row *row_a = &nm_consequences[a], *row_b = &nm_consequences[b];
	bool a_runs = !strcmp(row_a->outcome, "resumes"),
	     b_runs = !strcmp(row_b->outcome, "resumes");

	if (order->rank[row_a->stage] != order->rank[row_b->stage])
		return order->rank[row_a->stage] < order->rank[row_b->stage];
	return a_runs == b_runs ? a < b : b_runs;
}

/* ---- Consequences that go by the state ------------------------------------------------------- */

/* Control word 3, bit 31: L1 wants a #VMEXIT for a shutdown of L2. */
#define INTERCEPT3_SHUTDOWN (UINT64_C(1) << 31)

/* A triple fault of L2 goes to L1 if L1's VMCB12 intercepts it, else it ends the VM
 * (nested_svm_triple_fault, 6.1 and 7.2). Where the VMCB12 is not known, it stays open. */
static enum nm_consequence by_intercept(enum nm_consequence open, const uint8_t *vmcb12,
					enum nm_consequence to_l1, enum nm_consequence shutdown)
{
	if (!vmcb12)
		return open;
	return vmcb12_intercept_word3(vmcb12) & INTERCEPT3_SHUTDOWN ? to_l1 : shutdown;
}

static enum nm_consequence triple_fault(const struct nestmig_vcpu_view *v, bool no_nested)
{
	const uint8_t *vmcb12 = v->have & NESTMIG_HAVE(VMCB12) ? v->vmcb12 : NULL;

	if (no_nested)
		return NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN;
	if (!(v->have & NESTMIG_HAVE(NESTED)))
		return NM_CONSEQUENCE_TRIPLE_FAULT_L2;
	if (!(v->nested.flags & KVMNS_GUEST_MODE))
		return NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN;
	/* A VMX guest's triple fault always goes to L1 (nested_vmx_triple_fault). */
	if (v->nested.format == KVMNS_FORMAT_VMX)
		return NM_CONSEQUENCE_VMX_TRIPLE_FAULT_TO_L1;
	return by_intercept(NM_CONSEQUENCE_TRIPLE_FAULT_L2, vmcb12,
			    NM_CONSEQUENCE_TRIPLE_FAULT_TO_L1,
			    NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN);
}

/*
 * First kernels that do not emulate L2 (cd0e615c49e5), that give up a VM with an entry pending (KVM_BUG_ON),
 * and that tell so from a bug in vcpu_pre_run instead (64c947a1cf35).
 */
#define NO_EMULATION_SINCE NESTMIG_KERNEL(5, 16)
#define BUG_SINCE          NESTMIG_KERNEL(5, 15)
#define NO_BUG_SINCE       NESTMIG_KERNEL(6, 15)

/* Of L2's state that needs emulation: __vmx_handle_exit, vmx_vcpu_pre_run. */
static enum nm_consequence emulation(const struct nestmig_ctx *ctx)
{
	uint32_t kernel = ctx->h->kernel;

	if (!kernel || !(ctx->v->have & NESTMIG_HAVE(EVENTS)))
		return NM_CONSEQUENCE_EMULATION_REQUIRED;
	if (kernel >= NO_EMULATION_SINCE && nm_exception_waits(ctx))
		return NM_CONSEQUENCE_FIRST_RUN_PENDING_EXCEPTION;
	if (nm_run_pending(ctx) && kernel >= BUG_SINCE)
		return kernel < NO_BUG_SINCE ? NM_CONSEQUENCE_EMULATION_RUN_EIO
					     : NM_CONSEQUENCE_EMULATION_INTERNAL_ERROR;
	return kernel < NO_EMULATION_SINCE ? NM_CONSEQUENCE_EMULATION
					   : NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT;
}

/* Of a segment register that the SDM does not allow: what KVM itself finds invalid it does not enter. */
static enum nm_consequence segment(const struct nestmig_ctx *ctx)
{
	switch (ctx->v->have & NESTMIG_HAVE(VMCS12) ? nm_vmx_guest_valid(ctx) : NESTMIG_UNKNOWN) {
	case NESTMIG_BROKEN:
		return emulation(ctx);
	case NESTMIG_HOLDS:
		return NM_CONSEQUENCE_VMENTRY_EXIT_33;
	case NESTMIG_UNKNOWN:
		break;
	}
	return NM_CONSEQUENCE_VMX_SEGMENT;
}

/* What is wrong with a VMCS12 shows at once if L2 runs, else at L1's next VM entry. */
enum nm_consequence nm_at_next_entry(enum nm_consequence consequence)
{
	switch (consequence) {
	case NM_CONSEQUENCE_VMX_CONTROLS:
	case NM_CONSEQUENCE_LATE_VMFAIL_7:
		return NM_CONSEQUENCE_NEXT_VMFAIL_7;
	case NM_CONSEQUENCE_VMX_HOST_STATE:
		return NM_CONSEQUENCE_NEXT_VMFAIL_8;
	case NM_CONSEQUENCE_VMX_GUEST_STATE:
	case NM_CONSEQUENCE_SET_NESTED_STATE_2:
	case NM_CONSEQUENCE_VMENTRY_EXIT_33:
	case NM_CONSEQUENCE_VMX_SEGMENT:
	case NM_CONSEQUENCE_EMULATION_REQUIRED:
	case NM_CONSEQUENCE_FIRST_RUN_PDPTRS:
		return NM_CONSEQUENCE_NEXT_EXIT_33;
	case NM_CONSEQUENCE_VMENTRY_EXIT_34:
		return NM_CONSEQUENCE_NEXT_EXIT_34;
	case NM_CONSEQUENCE_FIRST_RUN_INTERNAL_ERROR:
		return NM_CONSEQUENCE_NEXT_INTERNAL_ERROR;
	case NM_CONSEQUENCE_NONE:
	case NM_CONSEQUENCE_ACCEPTED:
		return consequence;
	default:
		return nm_consequences[consequence].stage == NM_STAGE_NEXT_ENTRY
			       ? consequence
			       : NM_CONSEQUENCE_NEXT_L2;
	}
}

/* What a row comes to with this vCPU and this order of ioctls. */
static enum nm_consequence resolve(enum nm_consequence consequence, enum nm_when when,
				   const struct nestmig_ctx *ctx, const struct nm_order *order)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	if (when == NM_WHEN_VMX_L1 ||
	    (when == NM_WHEN_VMCS12 && !(v->nested.flags & KVMNS_GUEST_MODE)))
		return nm_at_next_entry(consequence);
	switch (consequence) {
	case NM_CONSEQUENCE_EMULATION_REQUIRED:
		return emulation(ctx);
	case NM_CONSEQUENCE_VMX_SEGMENT:
		return segment(ctx);
	case NM_CONSEQUENCE_SET_NESTED_STATE_SMM:
		/* The SMM bit and guest mode exclude each other; which of them goes depends on who
		 * comes first. */
		if (order->rank[NM_STAGE_SET_VCPU_EVENTS] > order->rank[NM_STAGE_SET_NESTED_STATE])
			return NM_CONSEQUENCE_SMM_LEAVES_NESTED;
		return consequence;
	case NM_CONSEQUENCE_TRIPLE_FAULT_L2:
		return triple_fault(v, ctx->no_nested);
	case NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2:
		return by_intercept(consequence,
				    v->have & NESTMIG_HAVE(SMM_VMCB12) ? v->smm_vmcb12 : NULL,
				    NM_CONSEQUENCE_RSM_TRIPLE_FAULT_TO_L1,
				    NM_CONSEQUENCE_RSM_TRIPLE_FAULT_SHUTDOWN);
	default:
		return consequence;
	}
}

bool nm_is_open(enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_EMULATION_REQUIRED ||
	       consequence == NM_CONSEQUENCE_VMX_SEGMENT;
}

enum nm_consequence nm_rule_consequence(const struct nm_rule *rule, const struct nestmig_ctx *ctx,
					const struct nm_order *order)
{
	enum nm_consequence before = resolve(rule->before, rule->when, ctx, order);
	enum nm_consequence after = resolve(rule->after, rule->when, ctx, order);
	uint32_t kernel = ctx->h->kernel;

	if (!rule->changed)
		return before;
	if (kernel)
		return kernel < rule->changed ? before : after;
	if (before == NM_CONSEQUENCE_NONE || after == NM_CONSEQUENCE_NONE)
		return NM_CONSEQUENCE_NONE;
	return comes_first(after, before, order) ? after : before;
}

enum nm_severity nm_rule_severity(const struct nm_rule *rule, const struct nestmig_ctx *ctx,
				  const struct nm_order *order)
{
	enum nm_consequence consequence = nm_rule_consequence(rule, ctx, order);

	/* Until its next VM entry L1 may still change what is wrong. */
	if (rule->severity == NM_SEVERITY_ERROR &&
	    nm_consequences[consequence].stage == NM_STAGE_NEXT_ENTRY)
		return NM_SEVERITY_WARNING;
	return rule->severity;
}

enum nm_consequence nm_predict(const uint64_t *broken, const struct nestmig_ctx *ctx,
			       const struct nm_order *order)
{
	enum nm_consequence first = NM_CONSEQUENCE_NONE;

	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		enum nm_consequence consequence;

		if (!nm_rule_bit(broken, i) ||
		    nm_rule_severity(&nm_rules[i], ctx, order) != NM_SEVERITY_ERROR)
			continue;
		consequence = nm_rule_consequence(&nm_rules[i], ctx, order);
		if (comes_first(consequence, first, order))
			first = consequence;
	}
	return first == NM_CONSEQUENCE_NONE ? NM_CONSEQUENCE_ACCEPTED : first;
}
