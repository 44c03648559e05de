/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on EPT, page-modification logging and VM functions. Included by predicates.h. */

static inline int nm_ept(const struct nestmig_ctx *c)
{
	return vmcs12_proc2(c->v->vmcs12, PROC2_EPT);
}

/* ---- One EPT pointer, of the VMCS12 or of an EPTP list (nested_vmx_check_eptp) ---------------- */

static inline enum nestmig_holds nm_eptp_memtype(const struct nestmig_ctx *c, uint64_t eptp)
{
	if (EPTP_MEMTYPE(eptp) != 0 && EPTP_MEMTYPE(eptp) != 6)
		return NESTMIG_BROKEN;
	return nm_offered(c->vmx.ept_yes, c->vmx.ept_no,
			  EPTP_MEMTYPE(eptp) ? EPT_CAP_WB : EPT_CAP_UC);
}

static inline enum nestmig_holds nm_eptp_walk(const struct nestmig_ctx *c, uint64_t eptp)
{
	if (EPTP_WALK(eptp) != 3 && EPTP_WALK(eptp) != 4)
		return NESTMIG_BROKEN;
	return nm_offered(c->vmx.ept_yes, c->vmx.ept_no,
			  EPTP_WALK(eptp) == 3 ? EPT_CAP_WALK_4 : EPT_CAP_WALK_5);
}

static inline enum nestmig_holds nm_eptp_ad(const struct nestmig_ctx *c, uint64_t eptp)
{
	if (!(eptp & EPTP_AD))
		return NESTMIG_HOLDS;
	return nm_offered(c->vmx.ept_yes, c->vmx.ept_no, EPT_CAP_AD);
}

static inline enum nestmig_holds rule_vmx_eptp_memtype(const struct nestmig_ctx *c)
{
	return nm_ept(c) ? nm_eptp_memtype(c, vmcs12_ept_pointer(c->v->vmcs12)) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_eptp_walk(const struct nestmig_ctx *c)
{
	return nm_ept(c) ? nm_eptp_walk(c, vmcs12_ept_pointer(c->v->vmcs12)) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_eptp_ad(const struct nestmig_ctx *c)
{
	return nm_ept(c) ? nm_eptp_ad(c, vmcs12_ept_pointer(c->v->vmcs12)) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_eptp_sss(const struct nestmig_ctx *c)
{
	return nm_implies(nm_ept(c), !(vmcs12_ept_pointer(c->v->vmcs12) & EPTP_SSS));
}

static inline enum nestmig_holds rule_vmx_eptp_reserved(const struct nestmig_ctx *c)
{
	return nm_implies(nm_ept(c), !(vmcs12_ept_pointer(c->v->vmcs12) & EPTP_RESERVED));
}

static inline enum nestmig_holds rule_vmx_eptp_width(const struct nestmig_ctx *c)
{
	return nm_ept(c) ? nm_fits(&c->lim, vmcs12_ept_pointer(c->v->vmcs12)) : NESTMIG_HOLDS;
}

/* ---- What needs EPT -------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_urg_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_URG), nm_ept(c));
}

static inline enum nestmig_holds rule_vmx_mbec_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_MBEC), nm_ept(c));
}

static inline enum nestmig_holds rule_vmx_pml_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PML), nm_ept(c));
}

static inline enum nestmig_holds rule_vmx_pml_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc2(c->v->vmcs12, PROC2_PML),
			  vmcs12_pml_address(c->v->vmcs12));
}

static inline int nm_eptp_switching(const struct nestmig_ctx *c)
{
	return vmcs12_proc2(c->v->vmcs12, PROC2_VMFUNC) &&
	       (vmcs12_vm_function_control(c->v->vmcs12) & VMFUNC_EPTP_SWITCHING);
}

static inline enum nestmig_holds rule_vmx_vmfunc_reserved(const struct nestmig_ctx *c)
{
	if (!vmcs12_proc2(c->v->vmcs12, PROC2_VMFUNC))
		return NESTMIG_HOLDS;
	return nm_zeros(&c->vmx.vmfunc, vmcs12_vm_function_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_eptpswitch_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(nm_eptp_switching(c), nm_ept(c));
}

static inline enum nestmig_holds rule_vmx_eptp_list_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, nm_eptp_switching(c), vmcs12_eptp_list_address(c->v->vmcs12));
}
