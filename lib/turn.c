// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What becomes of a vCPU between KVM_RUN and the processor, other than that it is entered: it sleeps, a
 * pending event takes it elsewhere first (kvm_arch_vcpu_ioctl_run, kvm_apic_accept_events,
 * kvm_check_and_inject_events, svm_check_nested_events of 6.1). What is wrong with the state that it
 * would have been entered with does not bite then.
 */
#include "judge.h"
#include "vcpu/predicates.h"

/* Does L1 want a #VMEXIT for this event of L2? */
static bool intercepts(const struct nestmig_ctx *ctx, uint64_t bit)
{
	return (ctx->v->have & NESTMIG_HAVE(VMCB12)) &&
	       (vmcb12_intercept_word3(ctx->v->vmcb12) & bit);
}

static bool nmi_is_open(const struct nestmig_ctx *ctx)
{
	const struct nestmig_events *events = &ctx->v->events;

	if (!events->nmi_pending || !nm_has_flag(ctx, NM_EVENT_NMI_PENDING) || !nm_gif(ctx))
		return false;
	return (ctx->svm_l2 && intercepts(ctx, VMCB12_INTERCEPT3_NMI)) ||
	       (!events->nmi_masked && !nm_shadow(ctx));
}

static bool smi_is_open(const struct nestmig_ctx *ctx)
{
	return nm_smi_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

static bool init_is_open(const struct nestmig_ctx *ctx)
{
	return nm_init_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

/* Does KVM_RUN sleep on this mp_state, as far as the saved state says what would wake it? */
static bool sleeps(const struct nestmig_ctx *ctx)
{
	switch (ctx->v->mp_state) {
	case NM_MP_UNINITIALIZED:
	case NM_MP_INIT_RECEIVED:
		return !init_is_open(ctx);
	case NM_MP_HALTED:
	case NM_MP_RESET_HOLD:
		return !init_is_open(ctx) && !nm_exc_pending(ctx) && !nm_triple_fault(ctx) &&
		       !nmi_is_open(ctx) && !smi_is_open(ctx);
	default:
		return false;
	}
}

/* Of L2, in the order of svm_check_nested_events (6.1). */
static enum nm_consequence leaves_l2(const struct nestmig_ctx *ctx)
{
	bool blocked = nm_run_pending(ctx) || nm_reinjects(ctx);

	if (nm_init_pending(ctx)) {
		if (blocked)
			return NM_CONSEQUENCE_NONE;
		if (intercepts(ctx, VMCB12_INTERCEPT3_INIT))
			return NM_CONSEQUENCE_LEAVES_L2;
		return nm_gif(ctx) ? NM_CONSEQUENCE_INIT_RESETS : NM_CONSEQUENCE_NONE;
	}
	if (nm_exc_pending(ctx))
		return nm_exc_exits(ctx) && !nm_run_pending(ctx) ? NM_CONSEQUENCE_LEAVES_L2
								 : NM_CONSEQUENCE_NONE;
	if (blocked)
		return NM_CONSEQUENCE_NONE;
	if (smi_is_open(ctx))
		return intercepts(ctx, VMCB12_INTERCEPT3_SMI) ? NM_CONSEQUENCE_LEAVES_L2
							      : NM_CONSEQUENCE_ENTERS_SMM;
	if (nmi_is_open(ctx) && intercepts(ctx, VMCB12_INTERCEPT3_NMI))
		return NM_CONSEQUENCE_LEAVES_L2;
	return NM_CONSEQUENCE_NONE;
}

enum nm_consequence nm_turn(const struct nestmig_ctx *ctx)
{
	const struct nestmig_vcpu_view *v = ctx->v;

	if (!(v->have & NESTMIG_HAVE(EVENTS)))
		return NM_CONSEQUENCE_NONE;
	if ((v->have & NESTMIG_HAVE(MP_STATE)) && v->mp_state && sleeps(ctx))
		return NM_CONSEQUENCE_WAITS;
	if (ctx->svm_l2)
		return leaves_l2(ctx);
	if (init_is_open(ctx))
		return NM_CONSEQUENCE_INIT_RESETS;
	if (smi_is_open(ctx) && !nm_reinjects(ctx) && !nm_exc_pending(ctx))
		return NM_CONSEQUENCE_ENTERS_SMM;
	return NM_CONSEQUENCE_NONE;
}

bool nm_is_missed(enum nm_consequence consequence, enum nm_consequence turn,
		  const struct nm_order *order)
{
	enum nm_stage stage = nm_consequences[consequence].stage;

	if (turn == NM_CONSEQUENCE_NONE ||
	    order->rank[stage] <= order->rank[nm_consequences[turn].stage])
		return false;
	/* L2's exit to L1 comes, only sooner. */
	return turn == NM_CONSEQUENCE_WAITS || turn == NM_CONSEQUENCE_INIT_RESETS ||
	       (consequence != NM_CONSEQUENCE_NEXT_EXIT_GP &&
		consequence != NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN);
}
