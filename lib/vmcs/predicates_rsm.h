/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on an SMI that came in VMX operation: KVM keeps L2 in the VMCS12, enters it again from there
 * when the handler executes RSM, with nested_run_pending set, and writes what the SMRAM image holds over
 * it (vmx_leave_smm, em_rsm; 6.1). Included by predicates.h.
 */

/* Which of them RSM makes of an L2: its path, with the 64-bit map, the only one looked at here. */
static inline enum nm_rsm_path nm_rsm_vmx_path(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (!nm_rsm_is_vmx(c))
		return NM_RSM_TO_L1;
	return path == NM_RSM_TO_L2 && nm_rsm_is_64(c) != NESTMIG_HOLDS ? NM_RSM_OPEN : path;
}

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

#define NM_RSM_SEGMENT(image, name)                                                                \
	nm_rsm_segment(smram64_##name##_selector(image), smram64_##name##_attributes(image),       \
		       smram64_##name##_limit(image), smram64_##name##_base(image))

/* Puts into the view what an L2 has after RSM. */
static inline void nm_rsm_fill(struct nestmig_vcpu_view *view, const struct nm_rsm *rsm)
{
	static const struct nestmig_events no_events;
	struct nestmig_sregs *sregs = &view->sregs;
	const uint8_t *image = view->smram;

	sregs->es = NM_RSM_SEGMENT(image, es);
	sregs->cs = NM_RSM_SEGMENT(image, cs);
	sregs->ss = NM_RSM_SEGMENT(image, ss);
	sregs->ds = NM_RSM_SEGMENT(image, ds);
	sregs->fs = NM_RSM_SEGMENT(image, fs);
	sregs->gs = NM_RSM_SEGMENT(image, gs);
	sregs->ldt = NM_RSM_SEGMENT(image, ldtr);
	sregs->tr = NM_RSM_SEGMENT(image, tr);
	sregs->gdt = (struct nestmig_dtable){smram64_gdtr_base(image),
					     (uint16_t)smram64_gdtr_limit(image)};
	sregs->idt = (struct nestmig_dtable){smram64_idtr_base(image),
					     (uint16_t)smram64_idtr_limit(image)};
	sregs->efer = rsm->final_efer;
	sregs->cr0 = (rsm->cr0 | NM_CR0_ET) & NM_CR0_KNOWN;
	sregs->cr3 = rsm->cr3;
	sregs->cr4 = rsm->cr4;
	view->regs.rflags = (smram64_rflags(image) & ~NM_HIGH_HALF) | 2;
	view->regs.rip = smram64_rip(image);
	view->events = no_events;
	view->nested.flags = KVMNS_GUEST_MODE;
	view->have |= NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(REGS);
	view->have &= ~NESTMIG_HAVE(PDPTRS);
}

/* Do all of these hold for the L2 that RSM makes? What keeps RSM from it is said by others. */
static inline enum nestmig_holds nm_rsm_check(const struct nestmig_ctx *c, nm_check *const *checks,
					      unsigned count)
{
	enum nestmig_holds holds = NESTMIG_HOLDS;
	struct nestmig_vcpu_view view;
	struct nestmig_ctx l2 = *c;
	struct nm_rsm rsm;

	switch (nm_rsm_vmx_path(c)) {
	case NM_RSM_OPEN:
		return NESTMIG_UNKNOWN;
	case NM_RSM_TO_L2:
		break;
	default:
		return NESTMIG_HOLDS;
	}
	if (!nm_rsm_follow(c, &rsm))
		return NESTMIG_UNKNOWN;
	if (nm_rsm_loads(c) != NESTMIG_HOLDS)
		return nm_rsm_loads(c) == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	view = *c->v;
	nm_rsm_fill(&view, &rsm);
	l2.v = &view;
	l2.vmx_l2 = 1;
	l2.sregs_first = l2.regs_first = l2.events_first = 0;
	for (unsigned i = 0; i < count; i++)
		holds = nm_both(holds, checks[i](&l2));
	return holds;
}

/* CR0 and CR4 are written in VMX operation: into L2 if RSM enters it, else into L1 (vmx_is_valid_cr0,
 * vmx_is_valid_cr4). */
static inline enum nestmig_holds rule_vmx_rsm_cr_load(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_vmx_path(c);
	uint64_t exempt = 0;
	struct nm_rsm rsm;

	if (!nm_rsm_is_vmx(c) || c->no_nested || path == NM_RSM_STOPS)
		return NESTMIG_HOLDS;
	if (path == NM_RSM_OPEN || !nm_has(c, NESTMIG_HAVE(NESTED)) || !nm_rsm_follow(c, &rsm))
		return NESTMIG_UNKNOWN;
	if (!(c->v->nested.vmx_smm_flags & VMX_SMM_VMXON))
		return NESTMIG_HOLDS;
	if (path == NM_RSM_TO_L2 && nm_urg(c))
		exempt = NM_CR0_PE | NM_CR0_PG;
	return nm_both(
		nm_both(nm_ones(&c->vmx.cr0, rsm.cr0 | exempt), nm_zeros(&c->vmx.cr0, rsm.cr0)),
		nm_both(nm_ones(&c->vmx.cr4, rsm.cr4), nm_zeros(&c->vmx.cr4, rsm.cr4)));
}

/* nested_get_vmcs12_pages before the first entry. */
static inline enum nestmig_holds rule_vmx_rsm_pdptes(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_vmx_path(c);

	if (path != NM_RSM_TO_L2)
		return path == NM_RSM_OPEN ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
	if (vmcs12_proc2(c->v->vmcs12, PROC2_EPT))
		return NESTMIG_HOLDS;
	return nm_rsm_pdptes_readable(c);
}

/* Without unrestricted guest KVM looks at the segments itself before the entry, and finds one pending. */
static inline enum nestmig_holds rule_vmx_rsm_restored_segments(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {nm_vmx_guest_valid};

	return nm_rsm_check(c, checks, NM_COUNT(checks));
}

#define NM_RSM_SEG_CHECKS(reg)                                                                     \
	rule_vmx_guest_##reg##_ar_reserved, rule_vmx_guest_##reg##_g_high,                         \
		rule_vmx_guest_##reg##_g_low, rule_vmx_guest_##reg##_p, rule_vmx_guest_##reg##_s
#define NM_RSM_DATA_CHECKS(reg)                                                                    \
	NM_RSM_SEG_CHECKS(reg), rule_vmx_guest_##reg##_dpl, rule_vmx_guest_##reg##_type_accessed,  \
		rule_vmx_guest_##reg##_type_readable, rule_vmx_guest_##reg##_v86_ar,               \
		rule_vmx_guest_##reg##_v86_base, rule_vmx_guest_##reg##_v86_limit

/* What the processor asks of it. */
static inline enum nestmig_holds rule_vmx_rsm_state(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {
		NM_RSM_SEG_CHECKS(cs),
		rule_vmx_guest_cs_base_high,
		rule_vmx_guest_cs_dpl_conf,
		rule_vmx_guest_cs_dpl_nonconf,
		rule_vmx_guest_cs_dpl_type3,
		rule_vmx_guest_cs_type,
		rule_vmx_guest_cs_type_urg,
		rule_vmx_guest_cs_usable,
		rule_vmx_guest_cs_v86_ar,
		rule_vmx_guest_cs_v86_base,
		rule_vmx_guest_cs_v86_limit,
		NM_RSM_SEG_CHECKS(ss),
		rule_vmx_guest_ss_base_high,
		rule_vmx_guest_ss_dpl_rpl,
		rule_vmx_guest_ss_dpl_zero,
		rule_vmx_guest_ss_rpl_cs_rpl,
		rule_vmx_guest_ss_type,
		rule_vmx_guest_ss_v86_ar,
		rule_vmx_guest_ss_v86_base,
		rule_vmx_guest_ss_v86_limit,
		NM_RSM_DATA_CHECKS(ds),
		rule_vmx_guest_ds_base_high,
		NM_RSM_DATA_CHECKS(es),
		rule_vmx_guest_es_base_high,
		NM_RSM_DATA_CHECKS(fs),
		rule_vmx_guest_fs_base_canonical,
		NM_RSM_DATA_CHECKS(gs),
		rule_vmx_guest_gs_base_canonical,
		NM_RSM_SEG_CHECKS(ldtr),
		rule_vmx_guest_ldtr_base_canonical,
		rule_vmx_guest_ldtr_ti,
		rule_vmx_guest_ldtr_type,
		NM_RSM_SEG_CHECKS(tr),
		rule_vmx_guest_tr_base_canonical,
		rule_vmx_guest_tr_ti,
		rule_vmx_guest_tr_type_64,
		rule_vmx_guest_tr_type_legacy,
		rule_vmx_guest_tr_usable,
		rule_vmx_guest_gdtr_base_canonical,
		rule_vmx_guest_idtr_base_canonical,
		rule_vmx_guest_rflags_reserved,
		rule_vmx_guest_rflags_vm,
		rule_vmx_guest_rip_high,
		rule_vmx_guest_rip_linear,
	};
	enum nestmig_holds kvm = rule_vmx_rsm_restored_segments(c);

	if (kvm != NESTMIG_HOLDS)
		return kvm == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	return nm_rsm_check(c, checks, NM_COUNT(checks));
}
