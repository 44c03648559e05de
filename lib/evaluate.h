/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What decides about a rule: whether its `when` applies to the vCPU, whether its inputs are there, whether
 * the kernel asks for it at all, and its predicate. Without libc: evaluate.c makes the library's evaluation
 * of it, kernel/judge.bpf.c that of a BPF program.
 */
#ifndef NESTMIG_EVALUATE_H
#define NESTMIG_EVALUATE_H

#include "rules.h"

#define NM_ALWAYS_INLINE static inline __attribute__((always_inline))

/* Does something apply to a vCPU? */
enum nm_applies { NM_APPLIES_NO, NM_APPLIES_YES, NM_APPLIES_UNKNOWN };

#define NM_EVENTS_HAVE_SMM 0x8 /* KVM_VCPUEVENT_VALID_SMM */

/* Has the vCPU SVM, or VMX, by its vendor or by the format of its nested state? */
static inline enum nm_applies nm_is_svm(const struct nestmig_vcpu_view *v)
{
	bool has_nested = v->have & NESTMIG_HAVE(NESTED);

	if (v->vendor == NESTMIG_VENDOR_AMD || (has_nested && v->nested.format == KVMNS_FORMAT_SVM))
		return NM_APPLIES_YES;
	if (v->vendor == NESTMIG_VENDOR_INTEL || has_nested)
		return NM_APPLIES_NO;
	return NM_APPLIES_UNKNOWN;
}

static inline enum nm_applies nm_is_vmx(const struct nestmig_vcpu_view *v)
{
	bool has_nested = v->have & NESTMIG_HAVE(NESTED);

	if (v->vendor == NESTMIG_VENDOR_INTEL)
		return NM_APPLIES_YES;
	if (v->vendor == NESTMIG_VENDOR_AMD || (has_nested && v->nested.format != KVMNS_FORMAT_VMX))
		return NM_APPLIES_NO;
	return has_nested ? NM_APPLIES_YES : NM_APPLIES_UNKNOWN;
}

/* Without its flag KVM_SET_VCPU_EVENTS leaves the SMM bit alone. */
static inline enum nm_applies nm_is_in_smm(const struct nestmig_vcpu_view *v)
{
	if (!(v->have & NESTMIG_HAVE(EVENTS)))
		return NM_APPLIES_UNKNOWN;
	return v->events.smi_smm && (v->events.flags & NM_EVENTS_HAVE_SMM) ? NM_APPLIES_YES
									   : NM_APPLIES_NO;
}

/* Rules on VMX state: L2 runs, L1 runs and has a current VMCS12 (vmx_has_valid_vmcs12), or either. */
static inline enum nm_applies nm_applies_vmx(enum nm_when when, const struct nestmig_ctx *ctx)
{
	const struct nestmig_nested *nested = &ctx->v->nested;
	enum nm_applies vmx = ctx->no_nested ? NM_APPLIES_NO : nm_is_vmx(ctx->v);
	bool in_l2 = nested->flags & KVMNS_GUEST_MODE;
	bool has_vmcs12 = nested->vmxon_pa != UINT64_MAX &&
			  (nested->vmcs12_pa != UINT64_MAX || (nested->flags & KVMNS_EVMCS));

	if (when == NM_WHEN_VMX || vmx == NM_APPLIES_NO)
		return vmx;
	if (!(ctx->v->have & NESTMIG_HAVE(NESTED)))
		return NM_APPLIES_UNKNOWN;
	if (in_l2)
		return when == NM_WHEN_VMX_L1 ? NM_APPLIES_NO : vmx;
	return when == NM_WHEN_VMX_L2 || !has_vmcs12 ? NM_APPLIES_NO : vmx;
}

/* Whether rules of one kind of `when` apply to this vCPU. */
static inline enum nm_applies nm_applies_when(enum nm_when when, const struct nestmig_ctx *ctx)
{
	enum nm_applies svm = nm_is_svm(ctx->v);

	if (when == NM_WHEN_ALWAYS)
		return NM_APPLIES_YES;
	if (when >= NM_WHEN_VMX && when <= NM_WHEN_VMCS12)
		return nm_applies_vmx(when, ctx);
	if (when == NM_WHEN_SMM)
		return nm_is_in_smm(ctx->v);
	if (ctx->no_nested)
		return NM_APPLIES_NO;
	if (when == NM_WHEN_NESTED)
		return NM_APPLIES_YES;
	if (svm == NM_APPLIES_NO || when == NM_WHEN_SVM)
		return svm;
	if (!(ctx->v->have & NESTMIG_HAVE(NESTED)))
		return NM_APPLIES_UNKNOWN;
	if (!(ctx->v->nested.flags & KVMNS_GUEST_MODE) == (when == NM_WHEN_L1))
		return svm;
	return NM_APPLIES_NO;
}

/* What of a row decides: constants wherever nm_evaluate_row is called. */
struct nm_row {
	uint64_t inputs;
	enum nm_consequence before;
	uint32_t changed;
	enum nm_consequence after;
	nm_predicate *predicate;
};

/* Does nothing follow on this kernel? If it is not known: does nothing follow on some? */
NM_ALWAYS_INLINE bool nm_is_without_consequence(const struct nm_row *row, uint32_t kernel)
{
	if (!row->changed)
		return row->before == NM_CONSEQUENCE_NONE;
	if (!kernel)
		return row->before == NM_CONSEQUENCE_NONE || row->after == NM_CONSEQUENCE_NONE;
	return (kernel < row->changed ? row->before : row->after) == NM_CONSEQUENCE_NONE;
}

/* A row whose `when` applies, or may apply; `have` are the items of the vCPU and of the host. */
NM_ALWAYS_INLINE enum nestmig_holds nm_evaluate_row(const struct nm_row *row,
						    const struct nestmig_ctx *ctx, uint64_t have,
						    enum nm_applies applies)
{
	uint32_t kernel = ctx->h->kernel;
	bool none = nm_is_without_consequence(row, kernel);
	enum nestmig_holds holds;

	if (none && kernel)
		return NESTMIG_HOLDS;
	if (applies == NM_APPLIES_UNKNOWN || (have & row->inputs) != row->inputs)
		return NESTMIG_UNKNOWN;
	holds = row->predicate(ctx);
	return holds == NESTMIG_BROKEN && none ? NESTMIG_UNKNOWN : holds;
}

#endif
