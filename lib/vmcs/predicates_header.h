/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the header of struct kvm_nested_state, VMX. Included by predicates.h. */

#define NM_SIZE_WITH_VMCS12 (KVMNS_HEADER_SIZE + VMCS12_SIZE)
#define NM_SIZE_WITH_SHADOW (KVMNS_HEADER_SIZE + KVMNS_VMCS_SIZE + VMCS12_SIZE)

static inline int nm_vmxon(const struct nestmig_ctx *c)
{
	return c->v->nested.vmxon_pa != VMCS12_NO_GPA;
}

static inline enum nestmig_holds rule_vmx_hdr_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & ~NM_KNOWN_FLAGS));
}

static inline enum nestmig_holds
rule_vmx_hdr_runpending_implies_guestmode(const struct nestmig_ctx *c)
{
	return nm_implies(!!(c->v->nested.flags & KVMNS_RUN_PENDING), !nm_in_l1(c));
}

static inline enum nestmig_holds rule_vmx_hdr_size_min(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->nested.size >= KVMNS_HEADER_SIZE);
}

static inline enum nestmig_holds rule_vmx_hdr_novmxon_smmflags(const struct nestmig_ctx *c)
{
	return nm_holds(nm_vmxon(c) || !c->v->nested.vmx_smm_flags);
}

static inline enum nestmig_holds rule_vmx_hdr_novmxon_vmcs12pa(const struct nestmig_ctx *c)
{
	return nm_holds(nm_vmxon(c) || c->v->nested.vmcs12_pa == VMCS12_NO_GPA);
}

static inline enum nestmig_holds rule_vmx_hdr_novmxon_flags(const struct nestmig_ctx *c)
{
	return nm_holds(nm_vmxon(c) || !(c->v->nested.flags & ~KVMNS_EVMCS));
}

/* nested_vmx_allowed: the module parameter and the guest's CPUID. */
static inline enum nestmig_holds nm_vmx_allowed(const struct nestmig_ctx *c)
{
	enum nestmig_holds param = NESTMIG_UNKNOWN;

	if (c->h->have & NESTMIG_HAVE(HOST_PARAMS))
		param = nm_holds(c->h->nested);
	return nm_both(param, nm_cpuid_bit(c, NESTMIG_CPUID_1_ECX, 5));
}

static inline enum nestmig_holds rule_vmx_hdr_vmx_allowed(const struct nestmig_ctx *c)
{
	return nm_vmxon(c) ? nm_vmx_allowed(c) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_hdr_vmxonpa_page(const struct nestmig_ctx *c)
{
	return nm_vmxon(c) ? nm_page_valid(c, c->v->nested.vmxon_pa) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_hdr_smm_guestmode_excl(const struct nestmig_ctx *c)
{
	return nm_holds(nm_in_l1(c) || !(c->v->nested.vmx_smm_flags & VMX_SMM_GUEST_MODE));
}

static inline enum nestmig_holds rule_vmx_hdr_smm_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.vmx_smm_flags & ~(VMX_SMM_GUEST_MODE | VMX_SMM_VMXON)));
}

static inline enum nestmig_holds rule_vmx_hdr_smm_guestmode_needs_vmxon(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.vmx_smm_flags & VMX_SMM_GUEST_MODE) ||
			(c->v->nested.vmx_smm_flags & VMX_SMM_VMXON));
}

static inline enum nestmig_holds rule_vmx_hdr_vmx_flags_known(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.vmx_flags & ~(uint32_t)VMX_DEADLINE));
}

/* Do the events put the vCPU into SMM (KVM_VCPUEVENT_VALID_SMM)? */
static inline int nm_events_smm(const struct nestmig_ctx *c)
{
	return (c->v->events.flags & NM_EVENTS_VALID_SMM) && c->v->events.smi_smm;
}

static inline enum nestmig_holds rule_vmx_hdr_evmcs_enabled(const struct nestmig_ctx *c)
{
	if (!(c->v->nested.flags & KVMNS_EVMCS))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VM_CAPS)))
		return nm_both(nm_vmx_allowed(c), NESTMIG_UNKNOWN);
	return nm_both(nm_vmx_allowed(c), nm_holds(c->v->vm_caps & NESTMIG_VM_EVMCS));
}

/* vmx_has_valid_vmcs12, as the header tells. */
static inline int nm_has_vmcs12(const struct nestmig_ctx *c)
{
	return nm_vmxon(c) && (c->v->nested.vmcs12_pa != VMCS12_NO_GPA ||
			       (c->v->nested.flags & (KVMNS_GUEST_MODE | KVMNS_EVMCS)));
}

static inline enum nestmig_holds rule_vmx_hdr_size_vmcs12(const struct nestmig_ctx *c)
{
	return nm_implies(nm_has_vmcs12(c), c->v->nested.size >= NM_SIZE_WITH_VMCS12);
}

static inline enum nestmig_holds rule_vmx_hdr_vmcs12pa_ne_vmxonpa(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_vmxon(c) || c->v->nested.vmcs12_pa != c->v->nested.vmxon_pa);
}

static inline enum nestmig_holds rule_vmx_hdr_vmcs12pa_page(const struct nestmig_ctx *c)
{
	if (!nm_vmxon(c) || c->v->nested.vmcs12_pa == VMCS12_NO_GPA)
		return NESTMIG_HOLDS;
	return nm_page_valid(c, c->v->nested.vmcs12_pa);
}

static inline enum nestmig_holds rule_vmx_hdr_vmcs12pa_present(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_vmxon(c) || c->v->nested.size < NM_SIZE_WITH_VMCS12 ||
			c->v->nested.vmcs12_pa != VMCS12_NO_GPA ||
			(c->v->nested.flags & KVMNS_EVMCS));
}

static inline enum nestmig_holds rule_vmx_hdr_vmcs12_revision(const struct nestmig_ctx *c)
{
	if (!nm_has_vmcs12(c))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_holds((vmcs12_revision_id_and_shadow_bit(c->v->vmcs12) & ~VMCS12_SHADOW) ==
			VMCS12_REVISION);
}

/* Does KVM read a shadow VMCS12 from the state? */
static inline int nm_has_shadow(const struct nestmig_ctx *c)
{
	return vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW) &&
	       vmcs12_vmcs_link_pointer(c->v->vmcs12) != VMCS12_NO_GPA;
}

static inline enum nestmig_holds rule_vmx_hdr_size_shadow(const struct nestmig_ctx *c)
{
	return nm_implies(nm_has_shadow(c), c->v->nested.size >= NM_SIZE_WITH_SHADOW);
}

static inline enum nestmig_holds nm_shadow_word(const struct nestmig_ctx *c, uint64_t mask,
						uint64_t value)
{
	if (!nm_has_shadow(c))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(SHADOW_VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_holds((vmcs12_revision_id_and_shadow_bit(c->v->shadow_vmcs12) & mask) == value);
}

static inline enum nestmig_holds rule_vmx_hdr_shadow_revision(const struct nestmig_ctx *c)
{
	return nm_shadow_word(c, ~VMCS12_SHADOW, VMCS12_REVISION);
}

static inline enum nestmig_holds rule_vmx_hdr_shadow_indicator(const struct nestmig_ctx *c)
{
	return nm_shadow_word(c, VMCS12_SHADOW, VMCS12_SHADOW);
}

static inline enum nestmig_holds rule_vmx_hdr_vmcs12_shadow_bit(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_revision_id_and_shadow_bit(c->v->vmcs12) & VMCS12_SHADOW));
}

static inline enum nestmig_holds rule_vmx_hdr_preempt_deadline(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_pin(c->v->vmcs12, PIN_TIMER),
			  c->v->nested.vmx_flags & VMX_DEADLINE);
}

static inline enum nestmig_holds rule_vmx_hdr_mtf_needs_guestmode(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->nested.flags & KVMNS_MTF_PENDING) || !nm_in_l1(c));
}
