/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the controls that virtualize the APIC. Included by predicates.h. */

static inline enum nestmig_holds rule_vmx_vapic_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc(c->v->vmcs12, PROC_TPR_SHADOW),
			  vmcs12_virtual_apic_page_addr(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_apic_access_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc2(c->v->vmcs12, PROC2_APIC_ACCESS),
			  vmcs12_apic_access_addr(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_tpr_threshold_high(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;

	return nm_implies(vmcs12_proc(p, PROC_TPR_SHADOW) && !vmcs12_proc2(p, PROC2_VID),
			  !(vmcs12_tpr_threshold(p) >> 4));
}

static inline enum nestmig_holds nm_needs_tpr(const struct nestmig_ctx *c, int on)
{
	return nm_implies(on, vmcs12_proc(c->v->vmcs12, PROC_TPR_SHADOW));
}

static inline enum nestmig_holds rule_vmx_x2apic_needs_tpr(const struct nestmig_ctx *c)
{
	return nm_needs_tpr(c, vmcs12_proc2(c->v->vmcs12, PROC2_X2APIC));
}

static inline enum nestmig_holds rule_vmx_regvirt_needs_tpr(const struct nestmig_ctx *c)
{
	return nm_needs_tpr(c, vmcs12_proc2(c->v->vmcs12, PROC2_APIC_REG));
}

static inline enum nestmig_holds rule_vmx_vid_needs_tpr(const struct nestmig_ctx *c)
{
	return nm_needs_tpr(c, vmcs12_proc2(c->v->vmcs12, PROC2_VID));
}

static inline enum nestmig_holds rule_vmx_x2apic_excl_apicacc(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_X2APIC),
			  !vmcs12_proc2(c->v->vmcs12, PROC2_APIC_ACCESS));
}

static inline enum nestmig_holds rule_vmx_vid_needs_extint(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_VID),
			  vmcs12_pin(c->v->vmcs12, PIN_EXTINT));
}

static inline int nm_posted(const struct nestmig_ctx *c)
{
	return vmcs12_pin(c->v->vmcs12, PIN_POSTED);
}

static inline enum nestmig_holds rule_vmx_pi_needs_vid(const struct nestmig_ctx *c)
{
	return nm_implies(nm_posted(c), vmcs12_proc2(c->v->vmcs12, PROC2_VID));
}

static inline enum nestmig_holds rule_vmx_pi_needs_ack(const struct nestmig_ctx *c)
{
	return nm_implies(nm_posted(c), vmcs12_exit(c->v->vmcs12, EXIT_ACK_INTR));
}

static inline enum nestmig_holds rule_vmx_pi_needs_tpr(const struct nestmig_ctx *c)
{
	return nm_needs_tpr(c, nm_posted(c));
}

static inline enum nestmig_holds rule_vmx_pi_vector(const struct nestmig_ctx *c)
{
	return nm_implies(nm_posted(c), !(vmcs12_posted_intr_nv(c->v->vmcs12) >> 8));
}

static inline enum nestmig_holds rule_vmx_pi_desc_align(const struct nestmig_ctx *c)
{
	return nm_implies(nm_posted(c), !(vmcs12_posted_intr_desc_addr(c->v->vmcs12) & 0x3f));
}

static inline enum nestmig_holds rule_vmx_pi_desc_width(const struct nestmig_ctx *c)
{
	if (!nm_posted(c))
		return NESTMIG_HOLDS;
	return nm_fits(&c->lim, vmcs12_posted_intr_desc_addr(c->v->vmcs12));
}
