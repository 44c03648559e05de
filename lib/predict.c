// SPDX-License-Identifier: LGPL-2.1-or-later
/* From broken rules to what the destination does: the order of a restore decides. */
#include "judge.h"

#include <string.h>

#include "smram/predicates.h"
#include "vmcs/predicates.h"

/* Is this what ends a restore, whatever an ioctl before it has done without failing? */
static bool is_refusal(const struct nm_consequence_row *row)
{
	return row->stage <= NM_STAGE_KVM_RUN && strcmp(row->outcome, "resumes");
}

/* Does a come before b? Of two at the same stage, the one that does not let the vCPU run; else the
 * rows of one stage stand in the order in which they come. */
static bool comes_first(enum nm_consequence a, enum nm_consequence b, const struct nm_order *order)
{
	const struct nm_consequence_row *row_a = &nm_consequences[a], *row_b = &nm_consequences[b];
	bool a_runs = !strcmp(row_a->outcome, "resumes"),
	     b_runs = !strcmp(row_b->outcome, "resumes");

	if (is_refusal(row_a) != is_refusal(row_b))
		return is_refusal(row_a);
	if (order->rank[row_a->stage] != order->rank[row_b->stage])
		return order->rank[row_a->stage] < order->rank[row_b->stage];
	return a_runs == b_runs ? a < b : b_runs;
}

/* ---- Consequences that go by the state ------------------------------------------------------- */

/* A triple fault of L2 goes to L1 if L1's VMCB12 intercepts it, else it ends the VM
 * (nested_svm_triple_fault, 6.1 and 7.2). Where the VMCB12 is not known, it stays open. */
static enum nm_consequence by_intercept(enum nm_consequence open, const uint8_t *vmcb12,
					enum nm_consequence to_l1, enum nm_consequence shutdown)
{
	if (!vmcb12)
		return open;
	return vmcb12_intercept_word3(vmcb12) & VMCB12_INTERCEPT3_SHUTDOWN ? to_l1 : shutdown;
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

/* The same for the L2 that RSM has entered, with the L1 that it took from the host save area. */
static enum nm_consequence rsm_by_intercept(enum nm_consequence open, const struct nestmig_ctx *ctx,
					    enum nm_consequence to_l1, enum nm_consequence shutdown)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	const uint8_t *vmcb12 = v->have & NESTMIG_HAVE(SMM_VMCB12) ? v->smm_vmcb12 : NULL;
	enum nm_consequence consequence;

	if (nm_rsm_is_vmx(ctx))
		return nm_vmx_rsm_triple_fault(ctx, open, to_l1);
	consequence = by_intercept(open, vmcb12, to_l1, shutdown);
	return consequence == to_l1 && !nm_parked_l1_is_sound(ctx) ? open : consequence;
}

/*
 * A failure of RSM after it has entered L2 again is one of L2 up to 6.11; later kernels, and 6.12 with
 * its backports, leave L2 first (emulator_leave_smm).
 */
static enum nm_consequence rsm_load_fails(const struct nestmig_ctx *ctx)
{
	enum nm_rsm_path path = nm_rsm_path(ctx);
	enum nm_consequence in_l2;

	if (path == NM_RSM_TO_L1 || path == NM_RSM_STOPS || ctx->h->kernel >= NESTMIG_KERNEL(6, 12))
		return NM_CONSEQUENCE_RSM_SHUTDOWN;
	if (path == NM_RSM_OPEN)
		return NM_CONSEQUENCE_RSM_LOAD_FAILS;
	in_l2 = rsm_by_intercept(NM_CONSEQUENCE_RSM_LOAD_FAILS, ctx,
				 NM_CONSEQUENCE_RSM_TRIPLE_FAULT_TO_L1,
				 NM_CONSEQUENCE_RSM_TRIPLE_FAULT_SHUTDOWN);
	if (!ctx->h->kernel && in_l2 == NM_CONSEQUENCE_RSM_TRIPLE_FAULT_TO_L1)
		return NM_CONSEQUENCE_RSM_LOAD_FAILS;
	return in_l2;
}

static enum nm_consequence rsm_entry_refused(const struct nestmig_ctx *ctx)
{
	switch (nm_rsm_path(ctx)) {
	case NM_RSM_TO_L1:
		return NM_CONSEQUENCE_RSM_FAIL_ENTRY;
	case NM_RSM_TO_L2:
		if (nm_rsm_is_vmx(ctx))
			return NM_CONSEQUENCE_RSM_VMX_EXIT_33;
		return nm_parked_l1_is_sound(ctx) ? NM_CONSEQUENCE_RSM_SVM_EXIT_ERR
						  : NM_CONSEQUENCE_RSM_ENTRY_REFUSED;
	case NM_RSM_STOPS:
		return NM_CONSEQUENCE_RSM_SHUTDOWN;
	default:
		return NM_CONSEQUENCE_RSM_ENTRY_REFUSED;
	}
}

/* A CR3 outside guest mode that is not RAM: in long mode a triple fault ends the vCPU; one in a 32-bit
 * mode was also seen to spin (6.1). */
static enum nm_consequence lost_root(const struct nestmig_vcpu_view *v)
{
	return v->sregs.efer & NM_EFER_LMA ? NM_CONSEQUENCE_ROOT_LOST
					   : NM_CONSEQUENCE_ROOT_PAGE_FAULTS;
}

/* A root that is not RAM is a triple fault beforehand where KVM shadows the page tables: L1's nested
 * ones always, those of a CR3 with npt=0. Where that is not known, both must come to the same. */
static enum nm_consequence no_root(const struct nestmig_ctx *ctx)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	const uint8_t *vmcb12 = v->have & NESTMIG_HAVE(VMCB12) ? v->vmcb12 : NULL;
	bool in_l2 = !ctx->no_nested && (v->have & NESTMIG_HAVE(NESTED)) &&
		     (v->nested.flags & KVMNS_GUEST_MODE);
	bool nested = in_l2 && vmcb12 && (vmcb12_nested_ctl(vmcb12) & VMCB12_NP_ENABLE);
	enum nm_consequence unshadowed = in_l2 ? NM_CONSEQUENCE_ROOT_PAGE_FAULTS : lost_root(v);

	if (!nested && !(ctx->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return unshadowed == NM_CONSEQUENCE_ROOT_LOST ? unshadowed
							      : NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_L2;
	if (!nested && ctx->h->npt)
		return unshadowed;
	if (!in_l2)
		return NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN;
	return by_intercept(NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_L2, vmcb12,
			    NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1,
			    NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN);
}

/*
 * At L2's next exit CR3 comes first (nested_svm_vmexit), then the processor. Without shadow paging KVM
 * looks at the width of CR3 only: that there are no page tables is met after the processor.
 */
static enum nm_consequence rsm_loses_l1(const struct nestmig_ctx *ctx)
{
	bool shadows = !(ctx->h->have & NESTMIG_HAVE(HOST_PARAMS)) || !ctx->h->npt;
	enum nestmig_holds cr3, entry;

	if (nm_rsm_is_vmx(ctx) || nm_rsm_path(ctx) != NM_RSM_TO_L2 ||
	    !(ctx->v->have & NESTMIG_HAVE(HSAVE)))
		return NM_CONSEQUENCE_RSM_LOSES_L1;
	cr3 = nm_parked_cr3(ctx);
	entry = nm_parked_entry(ctx);
	if (!shadows && nm_fits(&ctx->lim, vmcb12_save_cr3(ctx->v->hsave)) == NESTMIG_HOLDS &&
	    entry != NESTMIG_HOLDS)
		cr3 = entry == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	switch (cr3) {
	case NESTMIG_BROKEN:
		return NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN;
	case NESTMIG_HOLDS:
		return NM_CONSEQUENCE_NEXT_EXIT_FAIL_ENTRY;
	default:
		return NM_CONSEQUENCE_RSM_LOSES_L1;
	}
}

/* What a row comes to with this vCPU and this order of ioctls. */
static enum nm_consequence resolve(enum nm_consequence consequence, enum nm_when when,
				   const struct nestmig_ctx *ctx, const struct nm_order *order)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	if (when == NM_WHEN_VMX_L1 || (when == NM_WHEN_VMCS12 && nm_in_l1(ctx)))
		return nm_at_next_entry(consequence, ctx->h->kernel);
	switch (consequence) {
	case NM_CONSEQUENCE_EMULATION_REQUIRED:
		return nm_vmx_emulation(ctx);
	case NM_CONSEQUENCE_VMX_SEGMENT:
		return nm_vmx_segment(ctx);
	case NM_CONSEQUENCE_SET_NESTED_STATE_SMM:
		/* The SMM bit and guest mode exclude each other; which of them goes depends on who
		 * comes first. */
		if (order->rank[NM_STAGE_SET_VCPU_EVENTS] > order->rank[NM_STAGE_SET_NESTED_STATE])
			return NM_CONSEQUENCE_SMM_LEAVES_NESTED;
		return consequence;
	case NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY:
		return ctx->vmx_l2 ? NM_CONSEQUENCE_VMENTRY_EXIT_33 : consequence;
	case NM_CONSEQUENCE_LATE_VMFAIL_7:
		return ctx->vmx_l2 ? consequence : NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY;
	case NM_CONSEQUENCE_FIRST_RUN_REFUSED:
		if (ctx->vmx_l2)
			return NM_CONSEQUENCE_VMENTRY_EXIT_33;
		return ctx->svm_l2 ? NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR
				   : NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY;
	case NM_CONSEQUENCE_TRIPLE_FAULT_L2:
		return triple_fault(v, ctx->no_nested);
	case NM_CONSEQUENCE_VMX_TRIPLE_FAULT_TO_L1:
	case NM_CONSEQUENCE_VMX_ROOT_TRIPLE_FAULT:
		return nm_vmx_triple_fault(ctx, consequence);
	case NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_L2:
		return no_root(ctx);
	case NM_CONSEQUENCE_VMX_L1_LOST:
		return nm_vmx_l1_lost(ctx);
	case NM_CONSEQUENCE_RSM_VMX_SHUTDOWN:
		return nm_vmx_rsm_stops(ctx);
	case NM_CONSEQUENCE_ROOT_LOST:
		return lost_root(v);
	case NM_CONSEQUENCE_RSM_LOAD_FAILS:
		return rsm_load_fails(ctx);
	case NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2:
		return rsm_by_intercept(consequence, ctx, NM_CONSEQUENCE_RSM_TRIPLE_FAULT_TO_L1,
					NM_CONSEQUENCE_RSM_TRIPLE_FAULT_SHUTDOWN);
	case NM_CONSEQUENCE_RSM_ROOT_L2:
		return rsm_by_intercept(consequence, ctx, NM_CONSEQUENCE_RSM_ROOT_TO_L1,
					NM_CONSEQUENCE_RSM_ROOT_SHUTDOWN);
	case NM_CONSEQUENCE_RSM_ENTRY_REFUSED:
		return rsm_entry_refused(ctx);
	case NM_CONSEQUENCE_RSM_LOSES_L1:
		return rsm_loses_l1(ctx);
	default:
		return consequence;
	}
}

/* A row that goes by something else, still as it stands in a rule. */
static bool is_unresolved(enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_RSM_LOAD_FAILS ||
	       consequence == NM_CONSEQUENCE_RSM_TRIPLE_FAULT_L2 ||
	       consequence == NM_CONSEQUENCE_RSM_ROOT_L2 ||
	       consequence == NM_CONSEQUENCE_RSM_ENTRY_REFUSED ||
	       consequence == NM_CONSEQUENCE_RSM_LOSES_L1 ||
	       consequence == NM_CONSEQUENCE_EMULATION_REQUIRED ||
	       consequence == NM_CONSEQUENCE_VMX_SEGMENT ||
	       consequence == NM_CONSEQUENCE_VMX_L1_LOST ||
	       consequence == NM_CONSEQUENCE_VMX_TRIPLE_FAULT_PENDING;
}

/*
 * Does an event keep the handler from its RSM, or meet L1 together with L2's exit? Nothing is known of how
 * the handler takes an exception, or of L1's way out then.
 */
static bool is_disturbed(const struct nestmig_ctx *ctx, const struct nm_consequence_row *row)
{
	const struct nestmig_events *events = &ctx->v->events;
	bool to_l1;

	if (row->stage != NM_STAGE_RSM && row->stage != NM_STAGE_RSM_ENTRY)
		return false;
	if (nm_reinjects(ctx) || nm_exc_pending(ctx) ||
	    (events->nmi_pending && !events->nmi_masked))
		return true;
	to_l1 = !strcmp(row->outcome, "triple-fault-to-l1") ||
		!strcmp(row->outcome, "svm-exit-err") || !strcmp(row->outcome, "vmentry-exit-33");
	return to_l1 && (events->nmi_pending || events->smi_pending || events->smi_latched_init);
}

/*
 * A triple fault that ends L2 before a pending VMRUN was tried leaves nested_run_pending set in L1. As
 * long as it is, KVM puts an NMI or SMI off (svm_nmi_allowed, svm_smi_allowed: EBUSY) and leaves the
 * processor at once to try again: L1 never gets to its next instruction. No outcome is a word for that.
 */
static bool is_stuck(const struct nestmig_ctx *ctx, const struct nm_consequence_row *row)
{
	if (row->stage != NM_STAGE_TRIPLE_FAULT && row->stage != NM_STAGE_PAGE_TABLES)
		return false;
	return nm_run_pending(ctx) && (nm_nmi_pending(ctx) || nm_smi_pending(ctx)) &&
	       !strcmp(row->outcome, "triple-fault-to-l1");
}

/* Without unrestricted guest KVM may emulate real mode outside L2, and the processor never see it. */
static bool is_emulated(const struct nestmig_ctx *ctx, enum nm_consequence consequence)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	if (consequence != NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY || nm_is_vmx(v) != NM_APPLIES_YES)
		return false;
	return !(v->sregs.cr0 & NM_CR0_PE) &&
	       !((ctx->h->have & NESTMIG_HAVE(HOST_PARAMS)) && ctx->h->unrestricted_guest);
}

bool nm_is_open(enum nm_consequence consequence, const struct nestmig_ctx *ctx)
{
	const struct nm_consequence_row *row = &nm_consequences[consequence];

	return is_unresolved(consequence) || is_emulated(ctx, consequence) ||
	       is_disturbed(ctx, row) || is_stuck(ctx, row);
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

enum nm_severity nm_rule_severity(const struct nm_rule *rule, enum nm_consequence consequence)
{
	bool is_mild = consequence == NM_CONSEQUENCE_ACCEPTED ||
		       nm_consequences[consequence].stage == NM_STAGE_NEXT_ENTRY;

	return rule->severity == NM_SEVERITY_ERROR && is_mild ? NM_SEVERITY_WARNING
							      : rule->severity;
}

bool nm_ends_vmx_exit(enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_VMX_ABORT ||
	       consequence == NM_CONSEQUENCE_VMX_ABORT_SAVING ||
	       consequence == NM_CONSEQUENCE_VMX_L1_LOST_INTERNAL_ERROR ||
	       consequence == NM_CONSEQUENCE_VMX_L1_LOST_SHUTDOWN ||
	       consequence == NM_CONSEQUENCE_RSM_VMX_ABORT ||
	       consequence == NM_CONSEQUENCE_RSM_VMX_L1_REFUSED;
}

/* Of the two that wait for an exit, KVM meets the one first that keeps it from writing the VMCB12. */
static bool waits_for_exit(enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_NEXT_EXIT_GP ||
	       consequence == NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN || nm_ends_vmx_exit(consequence);
}

/* Does KVM leave L2 for L1, whatever comes of it there? */
static bool goes_to_vmx_l1(enum nm_consequence consequence)
{
	const char *outcome = nm_consequences[consequence].outcome;

	return !strcmp(outcome, "triple-fault-to-l1") || !strcmp(outcome, "vmentry-exit-33") ||
	       consequence == NM_CONSEQUENCE_VMX_TRIPLE_FAULT_RUN_EIO ||
	       consequence == NM_CONSEQUENCE_RSM_VMX_TRIPLE_FAULT ||
	       consequence == NM_CONSEQUENCE_RSM_VMX_ROOT;
}

/* What comes of `first` where an exit of L2 ends in at_exit: nothing else where the restore itself is
 * refused, has left guest mode, or the VM has ended. */
static enum nm_consequence then_exit(enum nm_consequence first, enum nm_consequence at_exit)
{
	const struct nm_consequence_row *row = &nm_consequences[first];

	if (row->stage <= NM_STAGE_KVM_RUN)
		return first;
	if (!strcmp(row->outcome, "resumes") || waits_for_exit(first))
		return at_exit;
	if (nm_ends_vmx_exit(at_exit) && goes_to_vmx_l1(first))
		return at_exit == NM_CONSEQUENCE_VMX_ABORT_SAVING &&
				       !strcmp(row->outcome, "vmentry-exit-33")
			       ? first
			       : at_exit;
	if (strcmp(row->outcome, "svm-exit-err") && strcmp(row->outcome, "triple-fault-to-l1"))
		return first;
	return at_exit == NM_CONSEQUENCE_NEXT_EXIT_GP ? NM_CONSEQUENCE_EXIT_TO_NOBODY : at_exit;
}

enum nm_consequence nm_predict(const uint64_t *broken, const struct nestmig_ctx *ctx,
			       const struct nm_order *order)
{
	enum nm_consequence first = NM_CONSEQUENCE_NONE, at_exit = NM_CONSEQUENCE_NONE;
	enum nm_consequence turn = nm_turn(ctx);

	for (unsigned word = 0; word < NM_RULE_WORDS; word++) {
		for (uint64_t left = broken[word]; left; left &= left - 1) {
			const struct nm_rule *rule =
				&nm_rules[64 * word + (unsigned)__builtin_ctzll(left)];
			enum nm_consequence consequence;

			if (rule->severity != NM_SEVERITY_ERROR)
				continue;
			consequence = nm_rule_consequence(rule, ctx, order);
			if (nm_consequences[consequence].stage == NM_STAGE_NEXT_ENTRY ||
			    nm_is_missed(consequence, turn, ctx, order))
				continue;
			if (comes_first(consequence, first, order))
				first = consequence;
			if (waits_for_exit(consequence) &&
			    (at_exit == NM_CONSEQUENCE_NONE || consequence < at_exit))
				at_exit = consequence;
		}
	}
	if (first == NM_CONSEQUENCE_NONE)
		return turn == NM_CONSEQUENCE_NONE ? NM_CONSEQUENCE_ACCEPTED : turn;
	return at_exit == NM_CONSEQUENCE_NONE ? first : then_exit(first, at_exit);
}

/* Could a rule that is not decided decide? Before the outcome, or where that is an exit to L1, at that. */
static bool may_decide(enum nm_consequence consequence, enum nm_consequence outcome,
		       const struct nm_order *order)
{
	return comes_first(consequence, outcome, order) ||
	       (nm_ends_vmx_exit(consequence) && goes_to_vmx_l1(outcome));
}

bool nm_is_certain(const uint64_t *unknown, enum nm_consequence outcome,
		   const struct nestmig_ctx *ctx, const struct nm_order *order)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		const struct nm_rule *rule = &nm_rules[i];
		bool is_after = ctx->h->kernel >= rule->changed;

		if (!nm_rule_bit(unknown, i) ||
		    nm_rule_severity(rule, nm_rule_consequence(rule, ctx, order)) !=
			    NM_SEVERITY_ERROR)
			continue;
		if (!ctx->h->kernel || !rule->changed || !is_after)
			if (may_decide(resolve(rule->before, rule->when, ctx, order), outcome,
				       order))
				return false;
		if (rule->changed && (!ctx->h->kernel || is_after))
			if (may_decide(resolve(rule->after, rule->when, ctx, order), outcome,
				       order))
				return false;
	}
	return true;
}
