/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on what of guest memory a VMCS12 points at. Included by predicates.h. */

static inline enum nestmig_holds nm_backed_if(int on, enum nestmig_backed backed)
{
	return on ? nm_backed(backed) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_back_apic_access(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc2(c->v->vmcs12, PROC2_APIC_ACCESS), c->vmx_mem.apic_access);
}

/* Where CR8 accesses exit and APIC accesses are not virtualized, KVM does without the shadow. */
static inline enum nestmig_holds rule_vmx_back_vapic(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;
	int unused = vmcs12_proc(p, PROC_CR8_LOAD | PROC_CR8_STORE) &&
		     !vmcs12_proc2(p, PROC2_APIC_ACCESS);

	return nm_backed_if(vmcs12_proc(p, PROC_TPR_SHADOW) && !unused, c->vmx_mem.vapic);
}

static inline enum nestmig_holds rule_vmx_back_pi_desc(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_posted(c), c->vmx_mem.posted);
}

static inline enum nestmig_holds rule_vmx_back_msr_bitmap(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc(c->v->vmcs12, PROC_MSR_BITMAPS), c->vmx_mem.msr_bitmap);
}

static inline enum nestmig_holds rule_vmx_back_io_bitmaps(const struct nestmig_ctx *c)
{
	int on = vmcs12_proc(c->v->vmcs12, PROC_IO_BITMAPS);

	return nm_both(nm_backed_if(on, c->vmx_mem.io_bitmap_a),
		       nm_backed_if(on, c->vmx_mem.io_bitmap_b));
}

static inline enum nestmig_holds rule_vmx_back_vmrw_bitmaps(const struct nestmig_ctx *c)
{
	int on = vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW);

	return nm_both(nm_backed_if(on, c->vmx_mem.vmread_bitmap),
		       nm_backed_if(on, c->vmx_mem.vmwrite_bitmap));
}

static inline enum nestmig_holds rule_vmx_back_pml_page(const struct nestmig_ctx *c)
{
	return nm_backed_if(vmcs12_proc2(c->v->vmcs12, PROC2_PML), c->vmx_mem.pml);
}

static inline enum nestmig_holds rule_vmx_back_pml_index(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PML),
			  vmcs12_guest_pml_index(c->v->vmcs12) < 512);
}

static inline enum nestmig_holds rule_vmx_back_vmcs12_region(const struct nestmig_ctx *c)
{
	return nm_backed_if(c->v->nested.vmcs12_pa != VMCS12_NO_GPA, c->vmx_mem.vmcs12);
}

static inline enum nestmig_holds rule_vmx_ept_root_backed(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_ept(c), c->vmx_mem.ept_root);
}

static inline enum nestmig_holds rule_vmx_vmfunc_list_backed(const struct nestmig_ctx *c)
{
	return nm_backed_if(nm_eptp_switching(c), c->vmx_mem.eptp_list);
}
