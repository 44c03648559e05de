// SPDX-License-Identifier: LGPL-2.1-or-later
/* What becomes of a broken rule on VMX state, where that goes by more than the rule. */
#include "judge.h"
#include "vmcs/predicates.h"

/*
 * First kernels that do not emulate L2 (cd0e615c49e5), that give up a VM with an entry pending (KVM_BUG_ON),
 * and that tell so from a bug in vcpu_pre_run instead (64c947a1cf35).
 */
#define NO_EMULATION_SINCE NESTMIG_KERNEL(5, 16)
#define BUG_SINCE          NESTMIG_KERNEL(5, 15)
#define NO_BUG_SINCE       NESTMIG_KERNEL(6, 15)

/* Of L2's state that needs emulation: __vmx_handle_exit, vmx_vcpu_pre_run. */
enum nm_consequence nm_vmx_emulation(const struct nestmig_ctx *ctx)
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
enum nm_consequence nm_vmx_segment(const struct nestmig_ctx *ctx)
{
	switch (ctx->v->have & NESTMIG_HAVE(VMCS12) ? nm_vmx_guest_valid(ctx) : NESTMIG_UNKNOWN) {
	case NESTMIG_BROKEN:
		return nm_vmx_emulation(ctx);
	case NESTMIG_HOLDS:
		return NM_CONSEQUENCE_VMENTRY_EXIT_33;
	case NESTMIG_UNKNOWN:
		break;
	}
	return NM_CONSEQUENCE_VMX_SEGMENT;
}

/*
 * nested_vmx_triple_fault ends L2 and leaves nested_run_pending set. L1 then runs to its first exit, where
 * KVM finds a bug (__vmx_handle_exit) and gives the VM up. What newer kernels do has not been seen.
 */
enum nm_consequence nm_vmx_triple_fault(const struct nestmig_ctx *ctx,
					enum nm_consequence consequence)
{
	uint32_t kernel = ctx->h->kernel;

	if (!nm_run_pending(ctx))
		return consequence;
	if (!kernel || kernel < BUG_SINCE || kernel >= NO_BUG_SINCE)
		return NM_CONSEQUENCE_VMX_TRIPLE_FAULT_PENDING;
	return NM_CONSEQUENCE_VMX_TRIPLE_FAULT_RUN_EIO;
}

enum nm_consequence nm_vmx_rsm_triple_fault(const struct nestmig_ctx *ctx, enum nm_consequence open,
					    enum nm_consequence to_l1)
{
	uint32_t kernel = ctx->h->kernel;

	if (nm_rsm_path(ctx) != NM_RSM_TO_L2 || kernel < BUG_SINCE || kernel >= NO_BUG_SINCE)
		return open;
	/* Half loaded, virtual-8086 mode without its segments would need emulation, which comes first. */
	if (!nm_urg(ctx) && (vmcs12_guest_rflags(ctx->v->vmcs12) & NM_RFLAGS_VM))
		return open;
	return to_l1 == NM_CONSEQUENCE_RSM_ROOT_TO_L1 ? NM_CONSEQUENCE_RSM_VMX_ROOT
						      : NM_CONSEQUENCE_RSM_VMX_TRIPLE_FAULT;
}

/*
 * vmx_leave_smm has set CR0.PE on the way to L2, so that KVM, without unrestricted guest, takes L1's segments of
 * SMM for a state that it cannot run, with a triple fault waiting (vmx_vcpu_pre_run).
 */
enum nm_consequence nm_vmx_rsm_stops(const struct nestmig_ctx *ctx)
{
	if ((ctx->h->have & NESTMIG_HAVE(HOST_PARAMS)) && !ctx->h->unrestricted_guest)
		return NM_CONSEQUENCE_RSM_VMX_INTERNAL_ERROR;
	return NM_CONSEQUENCE_RSM_VMX_SHUTDOWN;
}

/* What is wrong with a VMCS12 shows at once if L2 runs, else at L1's next VM entry. kernel: 0 if not known. */
enum nm_consequence nm_at_next_entry(enum nm_consequence consequence, uint32_t kernel)
{
	switch (consequence) {
	case NM_CONSEQUENCE_VMX_ROOT_TRIPLE_FAULT:
		return kernel >= BUG_SINCE && kernel < NO_BUG_SINCE
			       ? NM_CONSEQUENCE_NEXT_ROOT_RUN_EIO
			       : NM_CONSEQUENCE_NEXT_L2;
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
