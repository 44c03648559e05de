/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the SMM flags in the header of VMX nested state (vmx_set_nested_state). Included by
 * predicates.h.
 */
#define NM_SMM_GUEST_MODE 1
#define NM_SMM_VMXON      2
#define NM_NO_ADDRESS     (~UINT64_C(0))

/* Only in VMX's header are there SMM flags. */
static inline unsigned nm_smm_flags(const struct nestmig_ctx *c)
{
	return c->v->nested.format == KVMNS_FORMAT_VMX ? c->v->nested.vmx_smm_flags : 0;
}

static inline enum nestmig_holds rule_smm_vmx_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_smm_flags(c) & ~(unsigned)(NM_SMM_GUEST_MODE | NM_SMM_VMXON)));
}

static inline enum nestmig_holds rule_smm_vmx_flags_notguest(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_smm_flags(c) & NM_SMM_GUEST_MODE) ||
			!(c->v->nested.flags & KVMNS_GUEST_MODE));
}

static inline enum nestmig_holds rule_smm_vmx_flags_noxon(const struct nestmig_ctx *c)
{
	if (c->v->nested.format != KVMNS_FORMAT_VMX || c->v->nested.vmxon_pa != NM_NO_ADDRESS)
		return NESTMIG_HOLDS;
	return nm_holds(!nm_smm_flags(c) && c->v->nested.vmcs12_pa == NM_NO_ADDRESS);
}

static inline enum nestmig_holds rule_smm_vmx_flags_vmxon(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_smm_flags(c) & NM_SMM_GUEST_MODE) || (nm_smm_flags(c) & NM_SMM_VMXON));
}

/* The short blob of a vCPU without a current VMCS: its SMM flags are not read. */
static inline enum nestmig_holds rule_smm_vmx_vmxon_no_vmcs(const struct nestmig_ctx *c)
{
	return nm_holds(!(nm_smm_flags(c) & NM_SMM_VMXON) ||
			c->v->nested.vmcs12_pa != NM_NO_ADDRESS);
}
