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

/* The same of a pin-based control. */
static bool exits_on(const struct nestmig_ctx *ctx, uint32_t control)
{
	return ctx->vmx_l2 && (ctx->v->have & NESTMIG_HAVE(VMCS12)) &&
	       vmcs12_pin(ctx->v->vmcs12, control);
}

static bool nmi_is_open(const struct nestmig_ctx *ctx)
{
	if (!nm_nmi_pending(ctx) || !nm_gif(ctx))
		return false;
	return (ctx->svm_l2 && intercepts(ctx, VMCB12_INTERCEPT3_NMI)) || exits_on(ctx, PIN_NMI) ||
	       (!ctx->v->events.nmi_masked && !nm_shadow(ctx));
}

static bool smi_is_open(const struct nestmig_ctx *ctx)
{
	return nm_smi_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

static bool init_is_open(const struct nestmig_ctx *ctx)
{
	return !nm_vmx_blocks_init(ctx) && nm_init_pending(ctx) && nm_gif(ctx) && !nm_in_smm(ctx);
}

/* Is there anything in the saved state that wakes a vCPU which waits? (kvm_vcpu_has_events) While a
 * VMRUN is pending KVM takes every NMI and SMI for one. */
static bool is_woken(const struct nestmig_ctx *ctx)
{
	if (init_is_open(ctx) || nm_exc_pending(ctx) || nm_triple_fault(ctx) || nmi_is_open(ctx) ||
	    smi_is_open(ctx))
		return true;
	return nm_run_pending(ctx) && (nm_nmi_pending(ctx) || nm_smi_pending(ctx));
}

/* Of a vCPU that is not RUNNABLE. An INIT received stays one, whatever else comes. */
static enum nm_consequence wakes(const struct nestmig_ctx *ctx)
{
	switch (ctx->v->mp_state) {
	case NM_MP_UNINITIALIZED:
		return is_woken(ctx) ? NM_CONSEQUENCE_RUN_EAGAIN : NM_CONSEQUENCE_WAITS;
	case NM_MP_INIT_RECEIVED:
		return init_is_open(ctx) ? NM_CONSEQUENCE_NONE : NM_CONSEQUENCE_WAITS;
	case NM_MP_HALTED:
	case NM_MP_RESET_HOLD:
		return is_woken(ctx) ? NM_CONSEQUENCE_NONE : NM_CONSEQUENCE_WAITS;
	case NM_MP_SIPI_RECEIVED:
		return NM_CONSEQUENCE_SIPI_STARTS;
	default:
		return NM_CONSEQUENCE_NONE;
	}
}

/* Of L2, in the order of svm_check_nested_events (6.1). */
static enum nm_consequence leaves_l2(const struct nestmig_ctx *ctx)
{
	if (nm_init_pending(ctx)) {
		if (intercepts(ctx, VMCB12_INTERCEPT3_INIT))
			return NM_CONSEQUENCE_LEAVES_L2;
		return NM_CONSEQUENCE_INIT_RESETS;
	}
	if (nm_exc_pending(ctx))
		return nm_exc_exits(ctx) ? NM_CONSEQUENCE_LEAVES_L2 : NM_CONSEQUENCE_NONE;
	if (smi_is_open(ctx))
		return intercepts(ctx, VMCB12_INTERCEPT3_SMI) ? NM_CONSEQUENCE_LEAVES_L2
							      : NM_CONSEQUENCE_ENTERS_SMM;
	if (nmi_is_open(ctx) && intercepts(ctx, VMCB12_INTERCEPT3_NMI))
		return NM_CONSEQUENCE_LEAVES_L2;
	return NM_CONSEQUENCE_NONE;
}

/* The same of vmx_check_nested_events: an INIT always exits. */
static enum nm_consequence leaves_vmx_l2(const struct nestmig_ctx *ctx)
{
	if (nm_init_pending(ctx))
		return NM_CONSEQUENCE_LEAVES_L2;
	if (nm_exc_pending(ctx))
		return nm_exc_exits(ctx) ? NM_CONSEQUENCE_LEAVES_L2 : NM_CONSEQUENCE_NONE;
	if (smi_is_open(ctx))
		return NM_CONSEQUENCE_ENTERS_SMM;
	if (nmi_is_open(ctx) && exits_on(ctx, PIN_NMI))
		return NM_CONSEQUENCE_LEAVES_L2;
	return NM_CONSEQUENCE_NONE;
}

/* Does L2 have to be entered once before? A pending VMRUN is completed first, and an injected event is
 * delivered before anything but an exception. */
static bool is_late(const struct nestmig_ctx *ctx)
{
	if (!ctx->svm_l2 && !ctx->vmx_l2)
		return false;
	return nm_run_pending(ctx) || (nm_reinjects(ctx) && !nm_exc_pending(ctx));
}

/* The stage after which the vCPU takes its turn. SMM and a clear GIF hold an INIT back until the
 * handler or L1 lets it in. */
static enum nm_stage stage_of(enum nm_consequence turn, const struct nestmig_ctx *ctx)
{
	if (turn == NM_CONSEQUENCE_INIT_RESETS && nm_in_smm(ctx))
		return NM_STAGE_RSM_ENTRY;
	if (turn == NM_CONSEQUENCE_INIT_RESETS && !nm_gif(ctx))
		return NM_STAGE_EXECUTION;
	if (nm_consequences[turn].stage == NM_STAGE_EVENTS && is_late(ctx))
		return NM_STAGE_HARDWARE_ENTRY;
	return nm_consequences[turn].stage;
}

enum nm_consequence nm_turn(const struct nestmig_ctx *ctx)
{
	const struct nestmig_vcpu_view *v = ctx->v;
	enum nm_consequence turn = NM_CONSEQUENCE_NONE;

	if (!(v->have & NESTMIG_HAVE(EVENTS)))
		return NM_CONSEQUENCE_NONE;
	if ((v->have & NESTMIG_HAVE(MP_STATE)) && v->mp_state)
		turn = wakes(ctx);
	if (turn != NM_CONSEQUENCE_NONE)
		return turn;
	if (ctx->svm_l2)
		return leaves_l2(ctx);
	if (ctx->vmx_l2)
		return leaves_vmx_l2(ctx);
	if (nm_init_pending(ctx))
		return nm_vmx_blocks_init(ctx) ? NM_CONSEQUENCE_INIT_WAITS
					       : NM_CONSEQUENCE_INIT_RESETS;
	if (smi_is_open(ctx) && !nm_reinjects(ctx) && !nm_exc_pending(ctx))
		return NM_CONSEQUENCE_ENTERS_SMM;
	return NM_CONSEQUENCE_NONE;
}

bool nm_is_missed(enum nm_consequence consequence, enum nm_consequence turn,
		  const struct nestmig_ctx *ctx, const struct nm_order *order)
{
	enum nm_stage stage = nm_consequences[consequence].stage;
	enum nm_stage from = stage_of(turn, ctx);

	if (turn == NM_CONSEQUENCE_NONE || turn == NM_CONSEQUENCE_SIPI_STARTS ||
	    turn == NM_CONSEQUENCE_INIT_WAITS)
		return false;
	/* It is the handler that the vCPU goes to which has nothing to come back to. */
	if (turn == NM_CONSEQUENCE_ENTERS_SMM && consequence == NM_CONSEQUENCE_RSM_UNREADABLE)
		return false;
	if (order->rank[stage] <= order->rank[from])
		return false;
	/* L2's exit to L1 comes, only sooner. */
	return from == NM_STAGE_KVM_RUN || turn == NM_CONSEQUENCE_INIT_RESETS ||
	       (consequence != NM_CONSEQUENCE_NEXT_EXIT_GP &&
		consequence != NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN && !nm_ends_vmx_exit(consequence));
}
