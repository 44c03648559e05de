/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on VM-execution controls. Included by predicates.h. */

/* ---- What the capability MSRs allow ---------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_pin_allowed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.pin, vmcs12_pin_based_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_pin_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.pin, vmcs12_pin_based_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_proc_allowed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.proc, vmcs12_cpu_based_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_proc_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.proc, vmcs12_cpu_based_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_proc2_allowed0(const struct nestmig_ctx *c)
{
	if (!vmcs12_proc(c->v->vmcs12, PROC_SECONDARY))
		return NESTMIG_HOLDS;
	return nm_ones(&c->vmx.proc2, vmcs12_secondary_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_proc2_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.proc2, vmcs12_secondary(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_cr3_target_count(const struct nestmig_ctx *c)
{
	uint64_t count = vmcs12_cr3_target_count(c->v->vmcs12), misc;

	if (!count)
		return NESTMIG_HOLDS;
	if (!nm_vmx_msr(c, VMX_MISC, &misc))
		return NESTMIG_UNKNOWN;
	return nm_holds(count <= (misc >> 16 & 0x1ff));
}

/* ---- Addresses of bitmaps and pages ---------------------------------------------------------- */

/* A page address that counts only where a control is on. */
static inline enum nestmig_holds nm_page_if(const struct nestmig_ctx *c, int on, uint64_t address)
{
	return on ? nm_page_valid(c, address) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_io_bitmap_a_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc(c->v->vmcs12, PROC_IO_BITMAPS),
			  vmcs12_io_bitmap_a(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_io_bitmap_b_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc(c->v->vmcs12, PROC_IO_BITMAPS),
			  vmcs12_io_bitmap_b(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_msr_bitmap_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc(c->v->vmcs12, PROC_MSR_BITMAPS),
			  vmcs12_msr_bitmap(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_vmread_bitmap_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW),
			  vmcs12_vmread_bitmap(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_vmwrite_bitmap_addr(const struct nestmig_ctx *c)
{
	return nm_page_if(c, vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW),
			  vmcs12_vmwrite_bitmap(c->v->vmcs12));
}

/* ---- Controls that need each other ----------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_vnmi_needs_nmi_exiting(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_pin(c->v->vmcs12, PIN_VNMI), vmcs12_pin(c->v->vmcs12, PIN_NMI));
}

static inline enum nestmig_holds rule_vmx_nmi_window_needs_vnmi(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc(c->v->vmcs12, PROC_NMI_WINDOW),
			  vmcs12_pin(c->v->vmcs12, PIN_VNMI));
}

static inline enum nestmig_holds rule_vmx_vpid_nonzero(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_VPID),
			  vmcs12_virtual_processor_id(c->v->vmcs12) != 0);
}

/* KVM multiplies only where TSC offsetting is on, too (nested_cpu_has2 in vmx_get_l2_tsc_multiplier).
 */
static inline enum nestmig_holds rule_vmx_tsc_multiplier_nonzero(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;

	if (!vmcs12_proc2(p, PROC2_TSC_SCALING) || vmcs12_tsc_multiplier(p))
		return NESTMIG_HOLDS;
	if (vmcs12_proc(p, PROC_TSC_OFFSET) || c->h->kernel >= NESTMIG_KERNEL(7, 0))
		return NESTMIG_BROKEN;
	return c->h->kernel ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_preempt_save_needs_timer(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_exit(c->v->vmcs12, EXIT_SAVE_TIMER),
			  vmcs12_pin(c->v->vmcs12, PIN_TIMER));
}

static inline enum nestmig_holds rule_vmx_pt_gpa_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PT_GPA),
			  vmcs12_proc2(c->v->vmcs12, PROC2_EPT));
}

static inline enum nestmig_holds rule_vmx_pt_gpa_needs_load_rtit(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PT_GPA),
			  vmcs12_entry(c->v->vmcs12, ENTRY_LOAD_RTIT));
}

static inline enum nestmig_holds rule_vmx_pt_gpa_needs_clear_rtit(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_PT_GPA),
			  vmcs12_exit(c->v->vmcs12, EXIT_CLEAR_RTIT));
}

static inline enum nestmig_holds rule_vmx_spp_needs_ept(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_proc2(c->v->vmcs12, PROC2_SPP),
			  vmcs12_proc2(c->v->vmcs12, PROC2_EPT));
}
