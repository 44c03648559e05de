/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on an SMI that came in VMX operation: KVM keeps L2 in the VMCS12, enters it again from there
 * when the handler executes RSM, with nested_run_pending set, and writes what the SMRAM image holds over
 * it (vmx_leave_smm, em_rsm; 6.1). Included by predicates.h.
 */

static inline struct nestmig_segment nm_rsm_segment(uint64_t selector, uint64_t attributes,
						    uint64_t limit, uint64_t base)
{
	struct nestmig_segment s = {.base = base, .selector = (uint16_t)selector};
	unsigned a = (unsigned)attributes;

	/* A descriptor's 20 bits of limit (set_desc_limit, emulator_set_segment). */
	s.limit = (uint32_t)limit & 0xfffff;
	if (SMRAM_ATTRIB_G(a))
		s.limit = s.limit << 12 | 0xfff;
	s.type = (uint8_t)SMRAM_ATTRIB_TYPE(a);
	s.s = (uint8_t)SMRAM_ATTRIB_S(a);
	s.dpl = (uint8_t)SMRAM_ATTRIB_DPL(a);
	s.present = (uint8_t)SMRAM_ATTRIB_P(a);
	s.avl = (uint8_t)SMRAM_ATTRIB_AVL(a);
	s.l = (uint8_t)SMRAM_ATTRIB_L(a);
	s.db = (uint8_t)SMRAM_ATTRIB_DB(a);
	s.g = (uint8_t)SMRAM_ATTRIB_G(a);
	s.unusable = !s.present;
	return s;
}

#define NM_RSM_SEGMENT(map, image, name, shift)                                                    \
	nm_rsm_segment(map##_##name##_selector(image),                                             \
		       map##_##name##_attributes(image) >> (shift), map##_##name##_limit(image),   \
		       map##_##name##_base(image))
#define NM_RSM_SEGMENTS(map, image, sregs, shift)                                                  \
	do {                                                                                       \
		(sregs)->es = NM_RSM_SEGMENT(map, image, es, shift);                               \
		(sregs)->cs = NM_RSM_SEGMENT(map, image, cs, shift);                               \
		(sregs)->ss = NM_RSM_SEGMENT(map, image, ss, shift);                               \
		(sregs)->ds = NM_RSM_SEGMENT(map, image, ds, shift);                               \
		(sregs)->fs = NM_RSM_SEGMENT(map, image, fs, shift);                               \
		(sregs)->gs = NM_RSM_SEGMENT(map, image, gs, shift);                               \
		(sregs)->ldt = NM_RSM_SEGMENT(map, image, ldtr, shift);                            \
		(sregs)->tr = NM_RSM_SEGMENT(map, image, tr, shift);                               \
	} while (0)

/* Puts into the view what RSM has loaded. */
static inline void nm_rsm_fill(struct nestmig_vcpu_view *view, const struct nm_rsm *rsm, int is_64)
{
	static const struct nestmig_events no_events;
	struct nestmig_sregs *sregs = &view->sregs;
	const uint8_t *image = view->smram;

	if (is_64)
		NM_RSM_SEGMENTS(smram64, image, sregs, 0);
	else
		NM_RSM_SEGMENTS(smram32, image, sregs, 8);
	sregs->gdt.base = is_64 ? smram64_gdtr_base(image) : smram32_gdtr_base(image);
	sregs->idt.base = is_64 ? smram64_idtr_base(image) : smram32_idtr_base(image);
	sregs->efer = rsm->final_efer;
	sregs->cr0 = (rsm->cr0 | NM_CR0_ET) & NM_CR0_KNOWN;
	sregs->cr3 = rsm->cr3;
	sregs->cr4 = rsm->cr4;
	view->regs.rflags = is_64 ? smram64_rflags(image) & ~NM_HIGH_HALF : smram32_rflags(image);
	view->regs.rflags |= 2;
	view->regs.rip = is_64 ? smram64_rip(image) : smram32_rip(image);
	/* Outside 64-bit code the emulator cuts it. */
	if (!(sregs->efer & NM_EFER_LMA) || !sregs->cs.l)
		view->regs.rip &= ~NM_HIGH_HALF;
	view->events = no_events;
	view->nested.flags = KVMNS_GUEST_MODE;
	view->have |= NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(REGS);
	view->have &= ~NESTMIG_HAVE(PDPTRS);
}

/* Executes RSM in the state of an nm_other with registers: 1 if what is loaded is known, 0 if not. Rules on
 * L2's guest state look at that then. */
NM_SHARED_ARGS(int, nm_rsm_execute, 0, (struct nestmig_ctx * c), (c))
{
	NM_RSM(c, rsm);

	if (!rsm)
		return 0;
	nm_rsm_fill((struct nestmig_vcpu_view *)c->v, rsm, nm_rsm_is_64(c) == NESTMIG_HOLDS);
	c->vmx_l2 = rsm->path == NM_RSM_TO_L2;
	c->vmx_bare = rsm->path != NM_RSM_TO_L2;
	c->sregs_first = c->regs_first = c->events_first = 0;
	return 1;
}

/* CR0 and CR4 are written in VMX operation: into L2 if RSM enters it, else into L1 (vmx_is_valid_cr0,
 * vmx_is_valid_cr4). */
static inline enum nestmig_holds rule_vmx_rsm_cr_load(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);
	uint64_t exempt = 0;
	NM_RSM(c, rsm);

	if (!nm_rsm_is_vmx(c) || c->no_nested || path == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (path == NM_RSM_OPEN || !nm_has(c, NESTMIG_HAVE(NESTED)) || !rsm)
		return NESTMIG_UNKNOWN;
	if (!(c->v->nested.vmx_smm_flags & VMX_SMM_VMXON))
		return NESTMIG_HOLDS;
	if (path == NM_RSM_TO_L2 && nm_urg(c))
		exempt = NM_CR0_PE | NM_CR0_PG;
	return nm_both(
		nm_both(nm_ones(&c->vmx.cr0, rsm->cr0 | exempt), nm_zeros(&c->vmx.cr0, rsm->cr0)),
		nm_both(nm_ones(&c->vmx.cr4, rsm->cr4), nm_zeros(&c->vmx.cr4, rsm->cr4)));
}

/* Where L2's exits go. */
static inline enum nestmig_holds rule_vmx_rsm_host_cr3(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (!nm_rsm_is_vmx(c) || path == NM_RSM_TO_L1 || path == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_has(c, NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	return nm_both(nm_fits(&c->lim, vmcs12_host_cr3(c->v->vmcs12)), rule_vmx_host_pdptes(c));
}

#define NM_CR4_UMIP (UINT64_C(1) << 11)

/* Broken: what the processor certainly refuses of L1. UMIP KVM emulates where the processor lacks it (vmx_set_cr4). */
static inline enum nestmig_holds nm_takes_l1(const struct nestmig_ctx *c)
{
	const struct nestmig_vmx_msrs *host = &c->h->vmx;
	const uint8_t *p = c->v->vmcs12;

	if (vmcs12_host_cr0(p) >> 32)
		return NESTMIG_BROKEN;
	if (!(c->h->have & NESTMIG_HAVE(HOST_MSRS)) || !(host->have >> VMX_CR4_FIXED1 & 1))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(vmcs12_host_cr4(p) & ~host->value[VMX_CR4_FIXED1] & ~NM_CR4_UMIP));
}

/*
 * Controls of L1 that reach the processor (prepare_vmcs02_early), and L1's other registers: those of a VM
 * entry that has been made, or were changed since.
 */
NM_SHARED(enum nestmig_holds, rule_vmx_rsm_vmcs12, NESTMIG_UNKNOWN)
{
	static nm_check *const at_entry_or_exit[] = {
		rule_vmx_pin_allowed1,          rule_vmx_proc_allowed1,
		rule_vmx_proc2_allowed1,        rule_vmx_entry_allowed1,
		rule_vmx_entry_to_smm_outside,  rule_vmx_vnmi_needs_nmi_exiting,
		rule_vmx_nmi_window_needs_vnmi, rule_vmx_tpr_threshold_high,
		rule_vmx_x2apic_excl_apicacc,   rule_vmx_x2apic_needs_tpr,
		rule_vmx_regvirt_needs_tpr,     rule_vmx_vid_needs_tpr,
		rule_vmx_vid_needs_extint,      rule_vmx_urg_needs_ept,
		rule_vmx_exit_msr_count_limit,  rule_vmx_msrexitload_entry,
		rule_vmx_msrexitload_readable,  rule_vmx_msrexitstore_entry,
		rule_vmx_msrexitstore_writable,
	};
	static nm_check *const of_l1[] = {
		rule_vmx_host_cr0_fixed0,
		rule_vmx_host_cr0_fixed1,
		rule_vmx_host_cr4_fixed0,
		rule_vmx_host_cr4_fixed1,
		rule_vmx_host_cr4_kvm_reserved,
		rule_vmx_host_sysenter_esp,
		rule_vmx_host_sysenter_eip,
		rule_vmx_host_fs_base_canonical,
		rule_vmx_host_gs_base_canonical,
		rule_vmx_host_tr_base_canonical,
		rule_vmx_host_gdtr_base_canonical,
		rule_vmx_host_idtr_base_canonical,
		rule_vmx_host_asize64_rip_canonical,
		rule_vmx_host_asize32_rip_high,
		rule_vmx_host_asize32_no_pcide,
		rule_vmx_host_asize64_pae,
		rule_vmx_host_pat,
		rule_vmx_host_efer_reserved,
		rule_vmx_host_efer_lma,
		rule_vmx_host_efer_lme,
		rule_vmx_host_cs_rpl_ti,
		rule_vmx_host_ss_rpl_ti,
		rule_vmx_host_ds_rpl_ti,
		rule_vmx_host_es_rpl_ti,
		rule_vmx_host_fs_rpl_ti,
		rule_vmx_host_gs_rpl_ti,
		rule_vmx_host_tr_rpl_ti,
		rule_vmx_host_cs_nonzero,
		rule_vmx_host_tr_nonzero,
		rule_vmx_host_ss_nonzero_32,
	};
	enum nm_rsm_path path = nm_rsm_path(c);
	enum nestmig_holds holds;

	if (!nm_rsm_is_vmx(c) || path == NM_RSM_TO_L1 || path == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (!nm_has(c, NESTMIG_HAVE(VMCS12)))
		return NESTMIG_UNKNOWN;
	holds = NM_ALL(c, at_entry_or_exit);
	if (rule_vmx_rsm_host_cr3(c) == NESTMIG_HOLDS)
		holds = nm_both(holds, rule_vmx_host_cr3_backed(c));
	if (holds == NESTMIG_HOLDS && nm_takes_l1(c) != NESTMIG_HOLDS)
		return nm_takes_l1(c);
	holds = nm_both(holds, NM_ALL(c, of_l1));
	/* A VM entry of L1 would not have taken it, but here it may do no harm, or something else comes first. */
	return holds == NESTMIG_HOLDS ? holds : NESTMIG_UNKNOWN;
}

/* nested_get_vmcs12_pages before the first entry. */
static inline enum nestmig_holds rule_vmx_rsm_pdptes(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (!nm_rsm_is_vmx(c))
		return NESTMIG_HOLDS;
	if (path != NM_RSM_TO_L2)
		return path == NM_RSM_OPEN ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
	if (vmcs12_proc2(c->v->vmcs12, PROC2_EPT))
		return NESTMIG_HOLDS;
	return nm_rsm_pdptes_readable(c);
}

/* Does RSM get as far as an entry, on an Intel processor? */
static inline enum nestmig_holds nm_rsm_enters(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (!nm_rsm_is_vmx(c) || path == NM_RSM_STOPS)
		return NESTMIG_BROKEN;
	return path == NM_RSM_OPEN ? NESTMIG_UNKNOWN : nm_rsm_loads(c);
}

/* Without unrestricted guest KVM looks at the segments itself before the entry, and finds one pending. */
static inline enum nestmig_holds rule_vmx_rsm_restored_segments(const struct nestmig_ctx *c)
{
	enum nestmig_holds enters = nm_rsm_enters(c), holds;
	struct nm_other after;

	if (enters != NESTMIG_HOLDS)
		return enters == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	nm_other_begin(&after, c);
	nm_other_registers(&after);
	if (!nm_rsm_execute(after.c))
		holds = NESTMIG_UNKNOWN;
	else
		holds = after.c->vmx_l2 ? nm_vmx_guest_valid(after.c) : NESTMIG_HOLDS;
	nm_other_end(&after);
	return holds;
}

#define NM_RSM_SEG_CHECKS(reg)                                                                     \
	rule_vmx_guest_##reg##_ar_reserved, rule_vmx_guest_##reg##_g_high,                         \
		rule_vmx_guest_##reg##_g_low, rule_vmx_guest_##reg##_p, rule_vmx_guest_##reg##_s
#define NM_RSM_DATA_CHECKS(reg)                                                                    \
	NM_RSM_SEG_CHECKS(reg), rule_vmx_guest_##reg##_dpl, rule_vmx_guest_##reg##_type_accessed,  \
		rule_vmx_guest_##reg##_type_readable, rule_vmx_guest_##reg##_v86_ar,               \
		rule_vmx_guest_##reg##_v86_base, rule_vmx_guest_##reg##_v86_limit

/* What the processor asks of segments, RFLAGS and RIP: a question for each, since what the verifier follows of all
 * checks together is more than of all one after the other. */
NM_SHARED(enum nestmig_holds, nm_processor_takes_cs, NESTMIG_UNKNOWN)
{
	static nm_check *const checks[] = {
		NM_RSM_SEG_CHECKS(cs),       rule_vmx_guest_cs_base_high,
		rule_vmx_guest_cs_dpl_conf,  rule_vmx_guest_cs_dpl_nonconf,
		rule_vmx_guest_cs_dpl_type3, rule_vmx_guest_cs_type,
		rule_vmx_guest_cs_type_urg,  rule_vmx_guest_cs_usable,
		rule_vmx_guest_cs_v86_ar,    rule_vmx_guest_cs_v86_base,
		rule_vmx_guest_cs_v86_limit,
	};

	return NM_ALL(c, checks);
}

NM_SHARED(enum nestmig_holds, nm_processor_takes_ss, NESTMIG_UNKNOWN)
{
	static nm_check *const checks[] = {
		NM_RSM_SEG_CHECKS(ss),        rule_vmx_guest_ss_base_high,
		rule_vmx_guest_ss_dpl_rpl,    rule_vmx_guest_ss_dpl_zero,
		rule_vmx_guest_ss_rpl_cs_rpl, rule_vmx_guest_ss_type,
		rule_vmx_guest_ss_v86_ar,     rule_vmx_guest_ss_v86_base,
		rule_vmx_guest_ss_v86_limit,
	};

	return NM_ALL(c, checks);
}

#define NM_PROCESSOR_TAKES_DATA(reg, base)                                                         \
	NM_SHARED(enum nestmig_holds, nm_processor_takes_##reg, NESTMIG_UNKNOWN)                   \
	{                                                                                          \
		static nm_check *const checks[] = {NM_RSM_DATA_CHECKS(reg),                        \
						   rule_vmx_guest_##reg##_##base};                 \
                                                                                                   \
		return NM_ALL(c, checks);                                                          \
	}

NM_PROCESSOR_TAKES_DATA(ds, base_high)
NM_PROCESSOR_TAKES_DATA(es, base_high)
NM_PROCESSOR_TAKES_DATA(fs, base_canonical)
NM_PROCESSOR_TAKES_DATA(gs, base_canonical)

NM_SHARED(enum nestmig_holds, nm_processor_takes_ldtr, NESTMIG_UNKNOWN)
{
	static nm_check *const checks[] = {
		NM_RSM_SEG_CHECKS(ldtr),
		rule_vmx_guest_ldtr_base_canonical,
		rule_vmx_guest_ldtr_ti,
		rule_vmx_guest_ldtr_type,
	};

	return NM_ALL(c, checks);
}

NM_SHARED(enum nestmig_holds, nm_processor_takes_tr, NESTMIG_UNKNOWN)
{
	static nm_check *const checks[] = {
		NM_RSM_SEG_CHECKS(tr),         rule_vmx_guest_tr_base_canonical,
		rule_vmx_guest_tr_ti,          rule_vmx_guest_tr_type_64,
		rule_vmx_guest_tr_type_legacy, rule_vmx_guest_tr_usable,
	};

	return NM_ALL(c, checks);
}

NM_SHARED(enum nestmig_holds, nm_vmx_processor_takes, NESTMIG_UNKNOWN)
{
	enum nestmig_holds code = nm_both(nm_processor_takes_cs(c), nm_processor_takes_ss(c));
	enum nestmig_holds data = nm_both(nm_processor_takes_ds(c), nm_processor_takes_es(c));
	enum nestmig_holds more = nm_both(nm_processor_takes_fs(c), nm_processor_takes_gs(c));
	enum nestmig_holds tables = nm_both(nm_processor_takes_ldtr(c), nm_processor_takes_tr(c));
	enum nestmig_holds holds = nm_both(nm_both(code, data), nm_both(more, tables));

	holds = nm_both(holds, rule_vmx_guest_rflags_reserved(c));
	holds = nm_both(holds, rule_vmx_guest_rflags_vm(c));
	holds = nm_both(holds, rule_vmx_guest_rip_high(c));
	/* Older manuals do not ask for a canonical RIP, and Bochs does not. */
	if (holds == NESTMIG_HOLDS && rule_vmx_guest_rip_linear(c) != NESTMIG_HOLDS)
		return NESTMIG_UNKNOWN;
	return holds;
}

/* Real mode where it is not known whether the host has unrestricted guest: what runs with it runs without. */
static inline enum nestmig_holds nm_vmx_real_mode_runs(const struct nestmig_ctx *c)
{
	struct nm_other unrestricted;
	enum nestmig_holds holds;

	nm_other_begin(&unrestricted, c);
	unrestricted.h->unrestricted_guest = 1;
	holds = nm_vmx_processor_takes(unrestricted.c);
	nm_other_end(&unrestricted);
	return holds == NESTMIG_HOLDS ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

/*
 * The same of a vCPU that is not in L2, as nm_vmx_processor_takes sees it. Without unrestricted guest KVM
 * emulates what it finds invalid until it is not: of protected mode nothing is foretold then. Real mode, an
 * SMM handler among it, is virtual-8086 mode with segments that KVM makes itself, or is emulated.
 */
NM_SHARED(enum nestmig_holds, nm_vmx_bare_runs, NESTMIG_UNKNOWN)
{
	int knows = !!(c->h->have & NESTMIG_HAVE(HOST_PARAMS));
	enum nestmig_holds holds;

	if (!nm_urg(c) && !(c->v->sregs.cr0 & NM_CR0_PE))
		return knows ? NESTMIG_HOLDS : nm_vmx_real_mode_runs(c);
	if (!nm_urg(c) && nm_vmx_guest_valid(c) != NESTMIG_HOLDS)
		return NESTMIG_UNKNOWN;
	holds = nm_vmx_processor_takes(c);
	return holds == NESTMIG_BROKEN && !knows ? NESTMIG_UNKNOWN : holds;
}

/* Of the state that RSM has loaded: does it run? */
static inline enum nestmig_holds nm_vmx_loaded_runs(const struct nestmig_ctx *c)
{
	enum nestmig_holds tables = nm_both(nm_cpu_canonical(c, c->v->sregs.gdt.base),
					    nm_cpu_canonical(c, c->v->sregs.idt.base));

	if (!c->vmx_l2)
		return nm_both(nm_vmx_bare_runs(c), tables);
	switch (nm_vmx_guest_valid(c)) {
	case NESTMIG_HOLDS:
		return nm_both(nm_vmx_processor_takes(c), tables);
	case NESTMIG_BROKEN:
		return NESTMIG_HOLDS;
	default:
		return NESTMIG_UNKNOWN;
	}
}

static inline enum nestmig_holds rule_vmx_rsm_state(const struct nestmig_ctx *c)
{
	enum nestmig_holds enters = nm_rsm_enters(c), holds;
	struct nm_other after;

	if (enters != NESTMIG_HOLDS)
		return enters == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	nm_other_begin(&after, c);
	nm_other_registers(&after);
	holds = nm_rsm_execute(after.c) ? nm_vmx_loaded_runs(after.c) : NESTMIG_UNKNOWN;
	nm_other_end(&after);
	return holds;
}

/* ---- A vCPU that is not in L2, as it is restored ------------------------------------------------- */

static inline enum nestmig_holds rule_evt_sregs_segs_intel(const struct nestmig_ctx *c)
{
	enum nestmig_holds holds;
	struct nm_other bare;

	if (nm_in_l2(c) || nm_on_intel(c, 0) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	nm_other_begin(&bare, c);
	bare.v->nested.flags = KVMNS_GUEST_MODE;
	bare.c->vmx_bare = 1;
	bare.c->sregs_first = bare.c->regs_first = bare.c->events_first = 0;
	holds = nm_vmx_bare_runs(bare.c);
	nm_other_end(&bare);
	/* An SMI handler in real mode has segments that KVM emulates it with, as it did on the source. */
	if (holds == NESTMIG_UNKNOWN && (c->h->have & NESTMIG_HAVE(HOST_PARAMS)) &&
	    c->v->events.smi_smm && !(c->v->sregs.cr0 & NM_CR0_PE))
		return NESTMIG_HOLDS;
	return holds == NESTMIG_BROKEN ? nm_on_intel(c, 0) : holds;
}
