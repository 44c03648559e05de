/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the order of a restore, pending VM entries, RSM and enlightened VMCSs. Included by
 * predicates.h. */

/* ---- Order ----------------------------------------------------------------------------------- */

/* What KVM_SET_NESTED_STATE refuses is not dropped any more: flags of L2 and of SMM. */
static inline enum nestmig_holds rule_vmx_order_events_smm_toggle(const struct nestmig_ctx *c)
{
	return nm_holds(c->events_first || !nm_events_smm(c) || !nm_vmxon(c) ||
			c->v->nested.vmx_smm_flags || !nm_in_l1(c));
}

/* Canonical for L1, but not for a vCPU with 4 levels. */
static inline int nm_needs_57(uint64_t address)
{
	return !nm_canonical_48(address) && nm_canonical_57(address);
}

static inline enum nestmig_holds rule_vmx_order_la57_host_canonical(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;

	if (!(vmcs12_host_cr4(p) & NM_CR4_LA57))
		return NESTMIG_HOLDS;
	if (!nm_needs_57(vmcs12_host_rip(p)) && !nm_needs_57(vmcs12_host_gdtr_base(p)) &&
	    !nm_needs_57(vmcs12_host_idtr_base(p)) && !nm_needs_57(vmcs12_host_tr_base(p)) &&
	    !nm_needs_57(vmcs12_host_fs_base(p)) && !nm_needs_57(vmcs12_host_gs_base(p)) &&
	    !nm_needs_57(vmcs12_host_ia32_sysenter_esp(p)) &&
	    !nm_needs_57(vmcs12_host_ia32_sysenter_eip(p)))
		return NESTMIG_HOLDS;
	return nm_current_la57(c);
}

/* Activity states HLT and wait-for-SIPI, mp_states HALTED and INIT_RECEIVED. */
static inline enum nestmig_holds rule_vmx_order_mpstate_activity(const struct nestmig_ctx *c)
{
	uint64_t activity = vmcs12_guest_activity_state(c->v->vmcs12);

	return nm_holds((activity == 1) == (c->v->mp_state == 3) &&
			(activity == 3) == (c->v->mp_state == 2));
}

static inline enum nestmig_holds rule_vmx_order_regs_after_nested(const struct nestmig_ctx *c)
{
	const uint8_t *p = c->v->vmcs12;

	return nm_holds(vmcs12_guest_rip(p) == c->v->regs.rip &&
			vmcs12_guest_rsp(p) == c->v->regs.rsp &&
			vmcs12_guest_rflags(p) == c->v->regs.rflags);
}

static inline int nm_same_segment(const struct nestmig_segment *segment, uint64_t selector,
				  uint64_t base)
{
	return segment->selector == selector && segment->base == base;
}

static inline enum nestmig_holds rule_vmx_order_sregs_match_vmcs12(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;
	const uint8_t *p = c->v->vmcs12;

	return nm_holds(
		nm_same_segment(&s->cs, vmcs12_guest_cs_selector(p), vmcs12_guest_cs_base(p)) &&
		nm_same_segment(&s->ss, vmcs12_guest_ss_selector(p), vmcs12_guest_ss_base(p)) &&
		nm_same_segment(&s->ds, vmcs12_guest_ds_selector(p), vmcs12_guest_ds_base(p)) &&
		nm_same_segment(&s->es, vmcs12_guest_es_selector(p), vmcs12_guest_es_base(p)) &&
		nm_same_segment(&s->fs, vmcs12_guest_fs_selector(p), vmcs12_guest_fs_base(p)) &&
		nm_same_segment(&s->gs, vmcs12_guest_gs_selector(p), vmcs12_guest_gs_base(p)) &&
		nm_same_segment(&s->tr, vmcs12_guest_tr_selector(p), vmcs12_guest_tr_base(p)) &&
		nm_same_segment(&s->ldt, vmcs12_guest_ldtr_selector(p), vmcs12_guest_ldtr_base(p)));
}

static inline enum nestmig_holds rule_vmx_order_sregs_cr4_vmxon(const struct nestmig_ctx *c)
{
	uint64_t cr4 = c->v->sregs.cr4;

	if (c->sregs_first || !nm_vmxon(c) || (c->v->nested.vmx_smm_flags & VMX_SMM_VMXON))
		return NESTMIG_HOLDS;
	return nm_both(nm_ones(&c->vmx.cr4, cr4), nm_zeros(&c->vmx.cr4, cr4));
}

/* Of an L2 whose paging the nested state decides, vmx-guest-pdpte-mem says so. */
static inline enum nestmig_holds rule_vmx_order_sregs2_pdptrs(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	if (nm_ept(c) || c->sregs_first || !nm_pae_paging(s->efer, s->cr0, s->cr4) ||
	    (c->v->have & NESTMIG_HAVE(PDPTRS)))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.l2_pdptrs_ok);
}

/* ---- A pending VM entry ---------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_pend_injected_event_clash(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(!nm_run_pending(c) || !nm_injected(c) ||
			(!e->exc_injected && !e->intr_injected && !e->nmi_injected));
}

#define NM_EVENTS_VALID_TRIPLE_FAULT 0x20

static inline enum nestmig_holds rule_vmx_pend_triple_fault_event(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_holds(!(e->flags & NM_EVENTS_VALID_TRIPLE_FAULT) || !e->triple_fault);
}

static inline enum nestmig_holds rule_vmx_pend_hlt_pending(const struct nestmig_ctx *c)
{
	uint64_t activity = vmcs12_guest_activity_state(c->v->vmcs12);

	return nm_holds(!nm_run_pending(c) || (activity != 1 && activity != 3));
}

/* ---- Roots of page tables -------------------------------------------------------------------- */

/* Does KVM shadow a guest's page tables? Only where it does, a root that is not RAM is in the way. */
static inline enum nestmig_holds nm_shadowed_root(const struct nestmig_ctx *c, uint64_t cr0,
						  enum nestmig_backed root)
{
	int knows = !!(c->h->have & NESTMIG_HAVE(HOST_PARAMS));

	if (!(cr0 & NM_CR0_PG) || (knows && c->h->ept) || nm_backed(root) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	return knows ? nm_backed(root) : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_root_cr3(const struct nestmig_ctx *c)
{
	int sregs = !nm_in_l1(c) && !c->sregs_first;

	if (vmcs12_proc2(c->v->vmcs12, PROC2_EPT))
		return NESTMIG_HOLDS;
	if (sregs && !(c->v->have & NESTMIG_HAVE(SREGS)))
		return NESTMIG_UNKNOWN;
	return nm_shadowed_root(c, sregs ? c->v->sregs.cr0 : vmcs12_guest_cr0(c->v->vmcs12),
				sregs ? c->mem.cr3 : c->vmx_mem.guest_cr3);
}

static inline enum nestmig_holds rule_vmx_root_l1_cr3(const struct nestmig_ctx *c)
{
	return c->vmx_l2 ? NESTMIG_HOLDS : nm_shadowed_root(c, c->v->sregs.cr0, c->mem.cr3);
}

/* ---- RSM ------------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_rsm_reenter_fails(const struct nestmig_ctx *c)
{
	if (!(c->v->nested.vmx_smm_flags & VMX_SMM_GUEST_MODE))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_cr3_fits(c, vmcs12_guest_cr3(c->v->vmcs12));
}

/* ---- Enlightened VMCS ------------------------------------------------------------------------ */

#define NM_EVMCS_NO_PIN (PIN_POSTED | PIN_TIMER)
#define NM_EVMCS_NO_PROC2                                                                          \
	(PROC2_VID | PROC2_APIC_ACCESS | PROC2_APIC_REG | PROC2_PML | PROC2_VMFUNC |               \
	 PROC2_SHADOW | PROC2_TSC_SCALING | PROC2_PLE)
#define NM_HYPERV_INTERFACE 0x31237648 /* "Hv#1" */

/* Is enlightened VMCS on for the vCPU (guest_cpuid_has_evmcs)? Then KVM judges every VMCS12 so. */
static inline enum nestmig_holds nm_has_evmcs(const struct nestmig_ctx *c)
{
	const struct nestmig_cpuid *cpuid = &c->v->cpuid;
	enum nestmig_holds hyperv = NESTMIG_UNKNOWN, enabled = NESTMIG_UNKNOWN;

	if (c->v->have & NESTMIG_HAVE(CPUID))
		hyperv = nm_holds(cpuid->word[NESTMIG_CPUID_40000001_EAX] == NM_HYPERV_INTERFACE);
	if (c->v->have & NESTMIG_HAVE(VM_CAPS))
		enabled = nm_holds(c->v->vm_caps & NESTMIG_VM_EVMCS);
	if (c->v->nested.flags & KVMNS_EVMCS)
		enabled = NESTMIG_HOLDS;
	return nm_both(hyperv, enabled);
}

/* Of a VMCS12 with what an enlightened VMCS has no field for. */
static inline enum nestmig_holds nm_evmcs(const struct nestmig_ctx *c, uint64_t not_there)
{
	enum nestmig_holds evmcs = nm_has_evmcs(c);

	if (!not_there || evmcs == NESTMIG_BROKEN)
		return NESTMIG_HOLDS;
	return evmcs == NESTMIG_HOLDS ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_evmcs_pin(const struct nestmig_ctx *c)
{
	return nm_evmcs(c, vmcs12_pin_based_vm_exec_control(c->v->vmcs12) & NM_EVMCS_NO_PIN);
}

/* Also where the primary controls do not activate them. */
static inline enum nestmig_holds rule_vmx_evmcs_proc2(const struct nestmig_ctx *c)
{
	return nm_evmcs(c, vmcs12_secondary_vm_exec_control(c->v->vmcs12) & NM_EVMCS_NO_PROC2);
}

static inline enum nestmig_holds rule_vmx_evmcs_exit(const struct nestmig_ctx *c)
{
	return nm_evmcs(c, vmcs12_vm_exit_controls(c->v->vmcs12) & EXIT_SAVE_TIMER);
}

static inline enum nestmig_holds rule_vmx_evmcs_vmfunc(const struct nestmig_ctx *c)
{
	return nm_evmcs(c, vmcs12_vm_function_control(c->v->vmcs12) &
				   (VMFUNC_EPTP_SWITCHING | NM_HIGH_HALF));
}
