/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the VMX capability MSRs that the VMM restores: KVM takes what is no more than it can
 * give (vmx_set_vmx_msr, 6.1). Included by predicates.h.
 */

/* Is an MSR restored at all? */
static inline int nm_restores(const struct nestmig_ctx *c, enum vmx_msr msr)
{
	return c->v->vmx.have >> msr & 1;
}

/* What becomes of a restored MSR for which the host's is needed: HOLDS if both are known. */
static inline enum nestmig_holds nm_host_msr(const struct nestmig_ctx *c, enum vmx_msr msr,
					     uint64_t *ret_guest, uint64_t *ret_host)
{
	*ret_guest = c->v->vmx.value[msr];
	*ret_host = c->h->vmx.value[msr];
	if (!(c->h->have & NESTMIG_HAVE(HOST_MSRS)) || !(c->h->vmx.have >> msr & 1))
		return NESTMIG_UNKNOWN;
	return NESTMIG_HOLDS;
}

/* Of the bits of a mask, has the guest only those that the host has (is_bitwise_subset)? */
static inline enum nestmig_holds nm_msr_subset(const struct nestmig_ctx *c, enum vmx_msr msr,
					       uint64_t mask)
{
	uint64_t guest, host;

	if (!nm_restores(c, msr) || !(c->v->vmx.value[msr] & mask))
		return NESTMIG_HOLDS;
	if (nm_host_msr(c, msr, &guest, &host) == NESTMIG_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(guest & ~host & mask));
}

/* And all that the host has? */
static inline enum nestmig_holds nm_msr_superset(const struct nestmig_ctx *c, enum vmx_msr msr,
						 uint64_t mask)
{
	uint64_t guest, host;

	if (!nm_restores(c, msr))
		return NESTMIG_HOLDS;
	if (nm_host_msr(c, msr, &guest, &host) == NESTMIG_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(host & ~guest & mask));
}

/* Is a part of an MSR no more than the host's? */
static inline enum nestmig_holds nm_msr_at_most(const struct nestmig_ctx *c, enum vmx_msr msr,
						unsigned shift, uint64_t mask)
{
	uint64_t guest, host;

	if (!nm_restores(c, msr))
		return NESTMIG_HOLDS;
	if (nm_host_msr(c, msr, &guest, &host) == NESTMIG_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds((guest >> shift & mask) <= (host >> shift & mask));
}

/* Is it the same? */
static inline enum nestmig_holds nm_msr_equal(const struct nestmig_ctx *c, enum vmx_msr msr,
					      uint64_t mask)
{
	uint64_t guest, host;

	if (!nm_restores(c, msr))
		return NESTMIG_HOLDS;
	if (nm_host_msr(c, msr, &guest, &host) == NESTMIG_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds(!((guest ^ host) & mask));
}

/* vmx_restore_control_msr */
static inline enum nestmig_holds nm_msr_control(const struct nestmig_ctx *c, enum vmx_msr msr)
{
	return nm_both(nm_msr_superset(c, msr, ~NM_HIGH_HALF), nm_msr_subset(c, msr, NM_HIGH_HALF));
}

/* ---- IA32_VMX_BASIC -------------------------------------------------------------------------- */

#define NM_BASIC_REVISION UINT64_C(0x7fffffff)
#define NM_BASIC_PHYS32   (UINT64_C(1) << 48)
/* Dual-monitor treatment, INS and OUTS information, TRUE controls, and what is reserved. */
#define NM_BASIC_FEATURES UINT64_C(0xffc2e00080000000)

static inline enum nestmig_holds rule_vmx_caps_basic_revision(const struct nestmig_ctx *c)
{
	return nm_msr_equal(c, VMX_BASIC, NM_BASIC_REVISION);
}

static inline enum nestmig_holds rule_vmx_caps_basic_size(const struct nestmig_ctx *c)
{
	uint64_t guest, host;

	if (!nm_restores(c, VMX_BASIC))
		return NESTMIG_HOLDS;
	if (nm_host_msr(c, VMX_BASIC, &guest, &host) == NESTMIG_UNKNOWN)
		return NESTMIG_UNKNOWN;
	return nm_holds((guest >> 32 & 0x1fff) >= (host >> 32 & 0x1fff));
}

static inline enum nestmig_holds rule_vmx_caps_basic_features(const struct nestmig_ctx *c)
{
	return nm_msr_subset(c, VMX_BASIC, NM_BASIC_FEATURES);
}

static inline enum nestmig_holds rule_vmx_caps_basic_phys32(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_restores(c, VMX_BASIC) ||
			!(c->v->vmx.value[VMX_BASIC] & NM_BASIC_PHYS32));
}

/* ---- Controls -------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_caps_true_pin(const struct nestmig_ctx *c)
{
	return nm_msr_control(c, VMX_TRUE_PIN);
}

static inline enum nestmig_holds rule_vmx_caps_true_proc(const struct nestmig_ctx *c)
{
	return nm_msr_control(c, VMX_TRUE_PROC);
}

static inline enum nestmig_holds rule_vmx_caps_true_exit(const struct nestmig_ctx *c)
{
	return nm_msr_control(c, VMX_TRUE_EXIT);
}

static inline enum nestmig_holds rule_vmx_caps_true_entry(const struct nestmig_ctx *c)
{
	return nm_msr_control(c, VMX_TRUE_ENTRY);
}

static inline enum nestmig_holds rule_vmx_caps_proc2(const struct nestmig_ctx *c)
{
	return nm_msr_control(c, VMX_PROC2);
}

static inline enum nestmig_holds rule_vmx_caps_nontrue_readonly(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_restores(c, VMX_PIN) && !nm_restores(c, VMX_PROC) &&
			!nm_restores(c, VMX_EXIT) && !nm_restores(c, VMX_ENTRY));
}

static inline enum nestmig_holds rule_vmx_caps_fixed1_derived(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_restores(c, VMX_CR0_FIXED1) && !nm_restores(c, VMX_CR4_FIXED1));
}

/* ---- IA32_VMX_MISC --------------------------------------------------------------------------- */

/* EFER.LMA, activity states, Intel PT, SMBASE, SMIs blocked, VMWRITE to any field, zero length, and
 * what is reserved. */
#define NM_MISC_FEATURES UINT64_C(0xf000ffe0)

static inline enum nestmig_holds rule_vmx_caps_misc_features(const struct nestmig_ctx *c)
{
	return nm_msr_subset(c, VMX_MISC, NM_MISC_FEATURES);
}

static inline enum nestmig_holds rule_vmx_caps_misc_cr3count(const struct nestmig_ctx *c)
{
	return nm_msr_at_most(c, VMX_MISC, 16, 0x1ff);
}

static inline enum nestmig_holds rule_vmx_caps_misc_maxmsr(const struct nestmig_ctx *c)
{
	return nm_msr_at_most(c, VMX_MISC, 25, 7);
}

/* Only if the pin-based controls, restored before it or KVM's own, have the timer. */
static inline enum nestmig_holds rule_vmx_caps_misc_timer_rate(const struct nestmig_ctx *c)
{
	uint64_t controls = c->v->vmx.value[VMX_TRUE_PIN];

	if (nm_restores(c, VMX_TRUE_PIN) && !(controls >> 32 & PIN_TIMER))
		return NESTMIG_HOLDS;
	return nm_msr_equal(c, VMX_MISC, 0x1f);
}

static inline enum nestmig_holds rule_vmx_caps_misc_mseg(const struct nestmig_ctx *c)
{
	return nm_msr_equal(c, VMX_MISC, NM_HIGH_HALF);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_caps_ept_vpid(const struct nestmig_ctx *c)
{
	return nm_msr_subset(c, VMX_EPT_VPID_CAP, UINT64_MAX);
}

static inline enum nestmig_holds rule_vmx_caps_cr0_fixed0(const struct nestmig_ctx *c)
{
	return nm_msr_superset(c, VMX_CR0_FIXED0, UINT64_MAX);
}

static inline enum nestmig_holds rule_vmx_caps_cr4_fixed0(const struct nestmig_ctx *c)
{
	return nm_msr_superset(c, VMX_CR4_FIXED0, UINT64_MAX);
}

static inline enum nestmig_holds rule_vmx_caps_vmfunc(const struct nestmig_ctx *c)
{
	return nm_msr_subset(c, VMX_VMFUNC, UINT64_MAX);
}

/* In SMM the vCPU is out of VMX operation. */
static inline enum nestmig_holds rule_vmx_caps_before_vmxon(const struct nestmig_ctx *c)
{
	return nm_holds(!c->vmx_msrs_late || !c->v->vmx.have || !nm_vmxon(c) ||
			(c->v->nested.vmx_smm_flags & VMX_SMM_VMXON));
}
