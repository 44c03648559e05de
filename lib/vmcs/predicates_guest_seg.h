/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on L2's segment registers, and KVM's own judgement of them. Included by
 * predicates_guest.h.
 *
 * Two judge segments. For an L2 without unrestricted guest KVM looks first (vmx_emulation_required, 6.1):
 * what it finds invalid it does not enter at all (nm_vmx_guest_valid; consequence EMULATION_REQUIRED).
 * What it misses, and all segments of an unrestricted L2, the processor judges at the entry
 * (VMENTRY_EXIT_33). Rules say what the SDM says; the consequence VMX_SEGMENT becomes one of the two.
 *
 * KVM_SET_SREGS makes access rights of struct kvm_segment: no reserved bit, absent is unusable, and in
 * an unrestricted L2 all but LDTR become accessed (__vmx_set_segment).
 */

/* In the order of the VMCS12. */
enum nm_sreg { NM_ES, NM_CS, NM_SS, NM_DS, NM_FS, NM_GS, NM_LDTR, NM_TR };

/* A segment register as the VMCS has it. */
struct nm_seg {
	uint64_t base;
	uint32_t limit, ar;
	uint16_t selector;
};

static inline const struct nestmig_segment *nm_sregs_segment(const struct nestmig_sregs *s,
							     enum nm_sreg reg)
{
	switch (reg) {
	case NM_ES:
		return &s->es;
	case NM_CS:
		return &s->cs;
	case NM_SS:
		return &s->ss;
	case NM_DS:
		return &s->ds;
	case NM_FS:
		return &s->fs;
	case NM_GS:
		return &s->gs;
	case NM_LDTR:
		return &s->ldt;
	case NM_TR:
		break;
	}
	return &s->tr;
}

/* As vmx_segment_access_rights makes them. */
static inline uint32_t nm_access_rights(const struct nestmig_segment *s)
{
	uint32_t ar = (uint32_t)(s->type & 15) | (s->s & 1U) << 4 | (s->dpl & 3U) << 5;

	ar |= (s->present & 1U) << 7 | (s->avl & 1U) << 12 | (s->l & 1U) << 13 | (s->db & 1U) << 14;
	return ar | (s->g & 1U) << 15 | (uint32_t)(s->unusable || !s->present) << 16;
}

/*
 * On a host without unrestricted guest a vCPU that SREGS have put into real mode leaves it when the
 * nested state brings CR0.PE, and gets the segments of real mode back over those of the VMCS12
 * (enter_pmode).
 */
static inline int nm_leaves_real_mode(const struct nestmig_ctx *c)
{
	const struct nestmig_vcpu_view *v = c->v;

	if (nm_in_l1(c) || !(v->have & NESTMIG_HAVE(SREGS)) || (v->sregs.cr0 & NM_CR0_PE) ||
	    !(vmcs12_guest_cr0(v->vmcs12) & NM_CR0_PE))
		return 0;
	return !(c->h->have & NESTMIG_HAVE(HOST_PARAMS)) || !c->h->unrestricted_guest;
}

/* KVM makes TR's type that of a 64-bit TSS when the nested state turns paging on in a vCPU whose SREGS
 * have EFER.LME (enter_lmode). */
static inline int nm_enters_long_mode(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	return !nm_in_l1(c) && (c->v->have & NESTMIG_HAVE(SREGS)) && (s->efer & NM_EFER_LME) &&
	       !(s->cr0 & NM_CR0_PG) && (vmcs12_guest_cr0(c->v->vmcs12) & NM_CR0_PG);
}

/* A segment register at the first entry; says whether it is known. */
static inline int nm_guest_seg(const struct nestmig_ctx *c, enum nm_sreg reg, struct nm_seg *ret)
{
	const uint8_t *page = c->v->vmcs12;
	const struct nestmig_segment *s = nm_sregs_segment(&c->v->sregs, reg);

	if (nm_sregs_decide(c)) {
		*ret = (struct nm_seg){s->base, s->limit, nm_access_rights(s), s->selector};
		if (nm_urg(c) && reg != NM_LDTR)
			ret->ar |= 1;
		return !!(c->v->have & NESTMIG_HAVE(SREGS));
	}
	*ret = (struct nm_seg){
		.base = nm_le64(page + VMCS12_OFFSET_guest_es_base + 8 * (unsigned)reg),
		.limit = nm_le32(page + VMCS12_OFFSET_guest_es_limit + 4 * (unsigned)reg),
		.ar = nm_le32(page + VMCS12_OFFSET_guest_es_ar_bytes + 4 * (unsigned)reg),
		.selector = nm_le16(page + VMCS12_OFFSET_guest_es_selector + 2 * (unsigned)reg),
	};
	if (reg == NM_TR && nm_enters_long_mode(c))
		ret->ar = (ret->ar & ~0xfU) | 0xb;
	return !nm_leaves_real_mode(c);
}

static inline int nm_usable(const struct nm_seg *s)
{
	return !(s->ar & AR_UNUSABLE);
}

static inline unsigned nm_rpl(const struct nm_seg *s)
{
	return s->selector & 3;
}

static inline int nm_ti(const struct nm_seg *s)
{
	return s->selector >> 2 & 1;
}

/* ---- KVM's judgement (__vmx_guest_state_valid, 6.1) ------------------------------------------ */

/* rmode_segment_valid: DPL and, of CS, the type are not looked at, and P is the unusable bit. */
static inline int nm_kvm_v86_valid(const struct nm_seg *s, enum nm_sreg reg)
{
	uint64_t ar = s->ar & (0xf | AR_S | UINT64_C(1) << 12 | AR_L | AR_DB | AR_G | AR_UNUSABLE);

	if (reg == NM_CS)
		ar = (ar & ~UINT64_C(0xf)) | 3;
	return s->base == (uint64_t)s->selector << 4 && s->limit == 0xffff && ar == (AR_S | 3);
}

static inline int nm_kvm_cs_valid(const struct nm_seg *s)
{
	unsigned type = AR_TYPE(s->ar);

	if (!nm_usable(s) || (type & 9) != 9 || !(s->ar & AR_S))
		return 0;
	return type & 4 ? AR_DPL(s->ar) <= nm_rpl(s) : AR_DPL(s->ar) == nm_rpl(s);
}

static inline int nm_kvm_ss_valid(const struct nm_seg *s)
{
	unsigned type = AR_TYPE(s->ar);

	return !nm_usable(s) ||
	       ((type == 3 || type == 7) && (s->ar & AR_S) && AR_DPL(s->ar) == nm_rpl(s));
}

static inline int nm_kvm_data_valid(const struct nm_seg *s)
{
	if (!nm_usable(s))
		return 1;
	return (s->ar & AR_S) && (AR_TYPE(s->ar) >= 12 || AR_DPL(s->ar) >= nm_rpl(s));
}

static inline int nm_kvm_tr_valid(const struct nm_seg *s)
{
	return nm_usable(s) && !nm_ti(s) && (AR_TYPE(s->ar) == 3 || AR_TYPE(s->ar) == 11);
}

static inline int nm_kvm_ldtr_valid(const struct nm_seg *s)
{
	return !nm_usable(s) || (!nm_ti(s) && AR_TYPE(s->ar) == 2);
}

static inline int nm_kvm_seg_valid(const struct nm_seg *s, enum nm_sreg reg)
{
	switch (reg) {
	case NM_CS:
		return nm_kvm_cs_valid(s);
	case NM_SS:
		return nm_kvm_ss_valid(s);
	case NM_TR:
		return nm_kvm_tr_valid(s);
	case NM_LDTR:
		return nm_kvm_ldtr_valid(s);
	default:
		return nm_kvm_data_valid(s);
	}
}

/* Does KVM find one register valid? */
NM_SHARED_ARGS(enum nestmig_holds, nm_kvm_takes_seg, NESTMIG_UNKNOWN,
	       (const struct nestmig_ctx *c, enum nm_sreg reg, int real), (c, reg, real))
{
	struct nm_seg seg;

	if (reg > NM_TR || !nm_guest_seg(c, reg, &seg))
		return NESTMIG_UNKNOWN;
	if (!real)
		return nm_holds(nm_kvm_seg_valid(&seg, reg));
	return nm_holds(reg >= NM_LDTR || nm_kvm_v86_valid(&seg, reg));
}

/*
 * Does KVM enter L2? Broken: emulation_required is set. It is worked out from what the VMCS of L2 has
 * once all ioctls are done: the last vmx_set_cr0, vmx_set_segment or change of RFLAGS.VM does it.
 */
NM_SHARED(enum nestmig_holds, nm_vmx_guest_valid, NESTMIG_UNKNOWN)
{
	uint64_t cr0 = 0, rflags = 0;
	struct nm_seg cs, ss;
	int real, valid = 1;

	if (nm_urg(c) || c->h->no_emulation)
		return NESTMIG_HOLDS;
	if (!nm_guest_cr0(c, &cr0) || !nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	real = !(cr0 & NM_CR0_PE) || (rflags & NM_RFLAGS_VM);
	for (unsigned reg = NM_ES; reg <= NM_TR; reg++) {
		enum nestmig_holds holds = nm_kvm_takes_seg(c, (enum nm_sreg)reg, real);

		if (holds == NESTMIG_UNKNOWN)
			return NESTMIG_UNKNOWN;
		valid &= holds == NESTMIG_HOLDS;
	}
	if (!nm_guest_seg(c, NM_CS, &cs) || !nm_guest_seg(c, NM_SS, &ss))
		return NESTMIG_UNKNOWN;
	return nm_holds(valid && (real || nm_rpl(&cs) == nm_rpl(&ss)));
}

/* Seed of a dead VM: KVM_BUG_ON(nested_run_pending) in __vmx_handle_exit. */
static inline enum nestmig_holds rule_vmx_pend_emulation_required(const struct nestmig_ctx *c)
{
	return nm_run_pending(c) ? nm_vmx_guest_valid(c) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_pend_emulation_with_exception(const struct nestmig_ctx *c)
{
	return nm_exception_waits(c) ? nm_vmx_guest_valid(c) : NESTMIG_HOLDS;
}

/* ---- Conditions that several registers share ------------------------------------------------- */

/* What a condition asks of a register: `ok` where it is known. */
#define NM_SEG_RULE(ident, reg, ok)                                                                \
	static inline enum nestmig_holds rule_##ident(const struct nestmig_ctx *c)                 \
	{                                                                                          \
		struct nm_seg s;                                                                   \
                                                                                                   \
		if (!nm_guest_seg(c, reg, &s))                                                     \
			return NESTMIG_UNKNOWN;                                                    \
		return ok;                                                                         \
	}

static inline int nm_seg_g_low(const struct nm_seg *s)
{
	return (s->limit & 0xfff) == 0xfff || !(s->ar & AR_G);
}

static inline int nm_seg_g_high(const struct nm_seg *s)
{
	return !(s->limit >> 20) || (s->ar & AR_G);
}

/* Of ES, DS, FS and GS, and where they say the same of SS: nothing is asked of an unusable register. */
static inline int nm_data_accessed(const struct nm_seg *s)
{
	return !nm_usable(s) || (AR_TYPE(s->ar) & 1);
}

static inline int nm_data_readable(const struct nm_seg *s)
{
	return !nm_usable(s) || !(AR_TYPE(s->ar) & 8) || (AR_TYPE(s->ar) & 2);
}

static inline int nm_data_s(const struct nm_seg *s)
{
	return !nm_usable(s) || (s->ar & AR_S);
}

static inline int nm_data_dpl(const struct nestmig_ctx *c, const struct nm_seg *s)
{
	return nm_urg(c) || !nm_usable(s) || AR_TYPE(s->ar) >= 12 || AR_DPL(s->ar) >= nm_rpl(s);
}

static inline int nm_data_p(const struct nm_seg *s)
{
	return !nm_usable(s) || (s->ar & AR_P);
}

static inline int nm_data_reserved(const struct nm_seg *s)
{
	return !nm_usable(s) || !(s->ar & AR_RESERVED);
}

static inline int nm_data_g_low(const struct nm_seg *s)
{
	return !nm_usable(s) || nm_seg_g_low(s);
}

static inline int nm_data_g_high(const struct nm_seg *s)
{
	return !nm_usable(s) || nm_seg_g_high(s);
}

static inline int nm_data_base_high(const struct nm_seg *s)
{
	return !nm_usable(s) || !(s->base & NM_HIGH_HALF);
}

#define NM_DATA_RULES(name, reg)                                                                   \
	NM_SEG_RULE(vmx_guest_##name##_type_accessed, reg, nm_unless_v86(c, nm_data_accessed(&s))) \
	NM_SEG_RULE(vmx_guest_##name##_type_readable, reg, nm_unless_v86(c, nm_data_readable(&s))) \
	NM_SEG_RULE(vmx_guest_##name##_s, reg, nm_unless_v86(c, nm_data_s(&s)))                    \
	NM_SEG_RULE(vmx_guest_##name##_dpl, reg, nm_unless_v86(c, nm_data_dpl(c, &s)))             \
	NM_SEG_RULE(vmx_guest_##name##_p, reg, nm_unless_v86(c, nm_data_p(&s)))                    \
	NM_SEG_RULE(vmx_guest_##name##_ar_reserved, reg, nm_unless_v86(c, nm_data_reserved(&s)))   \
	NM_SEG_RULE(vmx_guest_##name##_g_low, reg, nm_unless_v86(c, nm_data_g_low(&s)))            \
	NM_SEG_RULE(vmx_guest_##name##_g_high, reg, nm_unless_v86(c, nm_data_g_high(&s)))

NM_DATA_RULES(ds, NM_DS)
NM_DATA_RULES(es, NM_ES)
NM_DATA_RULES(fs, NM_FS)
NM_DATA_RULES(gs, NM_GS)

#define NM_V86_RULES(name, reg)                                                                    \
	NM_SEG_RULE(vmx_guest_##name##_v86_base, reg,                                              \
		    nm_in_v86(c, s.base == (uint64_t)s.selector << 4))                             \
	NM_SEG_RULE(vmx_guest_##name##_v86_limit, reg, nm_in_v86(c, s.limit == 0xffff))            \
	NM_SEG_RULE(vmx_guest_##name##_v86_ar, reg, nm_in_v86(c, s.ar == 0xf3))

NM_V86_RULES(cs, NM_CS)
NM_V86_RULES(ds, NM_DS)
NM_V86_RULES(es, NM_ES)
NM_V86_RULES(fs, NM_FS)
NM_V86_RULES(gs, NM_GS)
NM_V86_RULES(ss, NM_SS)

NM_SEG_RULE(vmx_guest_cs_base_high, NM_CS, nm_holds(!(s.base & NM_HIGH_HALF)))
NM_SEG_RULE(vmx_guest_ds_base_high, NM_DS, nm_holds(nm_data_base_high(&s)))
NM_SEG_RULE(vmx_guest_es_base_high, NM_ES, nm_holds(nm_data_base_high(&s)))
NM_SEG_RULE(vmx_guest_ss_base_high, NM_SS, nm_holds(nm_data_base_high(&s)))

/* KVM_SET_MSRS sets the base, too, and takes none that is not canonical (__kvm_set_msr). Whether it comes
 * after a KVM_SET_SREGS that comes late as well is not known. */
static inline enum nestmig_holds nm_msr_base(const struct nestmig_ctx *c, uint64_t base,
					     uint32_t listed)
{
	enum nestmig_holds canonical = nm_cpu_canonical(c, base);

	if (canonical == NESTMIG_HOLDS || nm_in_l1(c) || c->msrs_first)
		return canonical;
	if (!(c->v->have & NESTMIG_HAVE(MSRS)))
		return NESTMIG_UNKNOWN;
	if (!(c->v->msrs_listed & listed))
		return canonical;
	return nm_sregs_decide(c) ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

NM_SEG_RULE(vmx_guest_fs_base_canonical, NM_FS, nm_msr_base(c, s.base, NESTMIG_LISTED_FS_BASE))
NM_SEG_RULE(vmx_guest_gs_base_canonical, NM_GS, nm_msr_base(c, s.base, NESTMIG_LISTED_GS_BASE))

/* ---- CS -------------------------------------------------------------------------------------- */

/* The processor does not look at it, nor does KVM if it does not judge segments. */
NM_SEG_RULE(vmx_guest_cs_usable, NM_CS,
	    nm_unless_v86(c, nm_urg(c) || c->h->no_emulation || nm_usable(&s)))
NM_SEG_RULE(vmx_guest_cs_type, NM_CS, nm_unless_v86(c, nm_urg(c) || (AR_TYPE(s.ar) & 9) == 9))
NM_SEG_RULE(vmx_guest_cs_type_urg, NM_CS,
	    nm_unless_v86(c, !nm_urg(c) || (AR_TYPE(s.ar) & 9) == 9 || AR_TYPE(s.ar) == 3))
NM_SEG_RULE(vmx_guest_cs_s, NM_CS, nm_unless_v86(c, !!(s.ar & AR_S)))
NM_SEG_RULE(vmx_guest_cs_dpl_type3, NM_CS,
	    nm_unless_v86(c, !nm_urg(c) || AR_TYPE(s.ar) != 3 || !AR_DPL(s.ar)))
NM_SEG_RULE(vmx_guest_cs_p, NM_CS, nm_unless_v86(c, !!(s.ar & AR_P)))
NM_SEG_RULE(vmx_guest_cs_ar_reserved, NM_CS, nm_unless_v86(c, !(s.ar & AR_RESERVED)))
NM_SEG_RULE(vmx_guest_cs_g_low, NM_CS, nm_unless_v86(c, nm_seg_g_low(&s)))
NM_SEG_RULE(vmx_guest_cs_g_high, NM_CS, nm_unless_v86(c, nm_seg_g_high(&s)))

/*
 * Of a non-conforming CS, and of a conforming one. The processor compares with SS.DPL; KVM, which does
 * so only without unrestricted guest, with CS.RPL, and where that differs either finds the state
 * invalid.
 */
static inline enum nestmig_holds nm_cs_dpl(const struct nestmig_ctx *c, int conforming)
{
	struct nm_seg cs, ss;
	unsigned type, dpl;
	int ok;

	if (!nm_guest_seg(c, NM_CS, &cs) || !nm_guest_seg(c, NM_SS, &ss))
		return NESTMIG_UNKNOWN;
	type = AR_TYPE(cs.ar);
	dpl = AR_DPL(cs.ar);
	if ((type & 9) != 9 || (type >> 2 & 1) != (unsigned)conforming)
		return NESTMIG_HOLDS;
	ok = conforming ? dpl <= AR_DPL(ss.ar) : dpl == AR_DPL(ss.ar);
	if (!nm_urg(c) && !c->h->no_emulation)
		ok &= conforming ? dpl <= nm_rpl(&cs) : dpl == nm_rpl(&cs);
	return nm_unless_v86(c, ok);
}

static inline enum nestmig_holds rule_vmx_guest_cs_dpl_conf(const struct nestmig_ctx *c)
{
	return nm_cs_dpl(c, 1);
}

static inline enum nestmig_holds rule_vmx_guest_cs_dpl_nonconf(const struct nestmig_ctx *c)
{
	return nm_cs_dpl(c, 0);
}

static inline enum nestmig_holds rule_vmx_guest_cs_d_l(const struct nestmig_ctx *c)
{
	struct nm_seg s;
	int ia32e = 0;

	if (!nm_guest_seg(c, NM_CS, &s) || !nm_guest_ia32e(c, &ia32e))
		return NESTMIG_UNKNOWN;
	return nm_unless_v86(c, !ia32e || !(s.ar & AR_L) || !(s.ar & AR_DB));
}

/* ---- SS -------------------------------------------------------------------------------------- */

NM_SEG_RULE(vmx_guest_ss_type, NM_SS,
	    nm_unless_v86(c, !nm_usable(&s) || AR_TYPE(s.ar) == 3 || AR_TYPE(s.ar) == 7))
NM_SEG_RULE(vmx_guest_ss_s, NM_SS, nm_unless_v86(c, nm_data_s(&s)))
NM_SEG_RULE(vmx_guest_ss_p, NM_SS, nm_unless_v86(c, nm_data_p(&s)))
NM_SEG_RULE(vmx_guest_ss_ar_reserved, NM_SS, nm_unless_v86(c, nm_data_reserved(&s)))
NM_SEG_RULE(vmx_guest_ss_g_low, NM_SS, nm_unless_v86(c, nm_data_g_low(&s)))
NM_SEG_RULE(vmx_guest_ss_g_high, NM_SS, nm_unless_v86(c, nm_data_g_high(&s)))
/* Also of an unusable SS. */
NM_SEG_RULE(vmx_guest_ss_dpl_rpl, NM_SS, nm_unless_v86(c, nm_urg(c) || AR_DPL(s.ar) == nm_rpl(&s)))

/* Only an unrestricted guest can have such a CS or CR0. */
static inline enum nestmig_holds rule_vmx_guest_ss_dpl_zero(const struct nestmig_ctx *c)
{
	struct nm_seg cs, ss;
	uint64_t cr0 = 0;

	if (!nm_guest_seg(c, NM_CS, &cs) || !nm_guest_seg(c, NM_SS, &ss) || !nm_guest_cr0(c, &cr0))
		return NESTMIG_UNKNOWN;
	if (!nm_urg(c) || (AR_TYPE(cs.ar) != 3 && (cr0 & NM_CR0_PE)))
		return NESTMIG_HOLDS;
	return nm_unless_v86(c, !AR_DPL(ss.ar));
}

static inline enum nestmig_holds rule_vmx_guest_ss_rpl_cs_rpl(const struct nestmig_ctx *c)
{
	struct nm_seg cs, ss;

	if (!nm_guest_seg(c, NM_CS, &cs) || !nm_guest_seg(c, NM_SS, &ss))
		return NESTMIG_UNKNOWN;
	return nm_unless_v86(c, nm_urg(c) || nm_rpl(&cs) == nm_rpl(&ss));
}

/* ---- TR and LDTR, in every mode -------------------------------------------------------------- */

NM_SEG_RULE(vmx_guest_tr_usable, NM_TR, nm_holds(nm_usable(&s)))
NM_SEG_RULE(vmx_guest_tr_ti, NM_TR, nm_holds(!nm_ti(&s)))
NM_SEG_RULE(vmx_guest_tr_type_legacy, NM_TR, nm_holds(AR_TYPE(s.ar) == 3 || AR_TYPE(s.ar) == 11))
NM_SEG_RULE(vmx_guest_tr_s, NM_TR, nm_holds(!(s.ar & AR_S)))
NM_SEG_RULE(vmx_guest_tr_p, NM_TR, nm_holds(!!(s.ar & AR_P)))
NM_SEG_RULE(vmx_guest_tr_ar_reserved, NM_TR, nm_holds(!(s.ar & AR_RESERVED)))
NM_SEG_RULE(vmx_guest_tr_g_low, NM_TR, nm_holds(nm_seg_g_low(&s)))
NM_SEG_RULE(vmx_guest_tr_g_high, NM_TR, nm_holds(nm_seg_g_high(&s)))
NM_SEG_RULE(vmx_guest_tr_base_canonical, NM_TR, nm_cpu_canonical(c, s.base))

/* Type 3 is left to the rule on IA-32e mode. */
static inline enum nestmig_holds rule_vmx_guest_tr_type_64(const struct nestmig_ctx *c)
{
	struct nm_seg s;
	int ia32e = 0;

	if (!nm_guest_seg(c, NM_TR, &s) || !nm_guest_ia32e(c, &ia32e))
		return NESTMIG_UNKNOWN;
	return nm_holds(!ia32e || AR_TYPE(s.ar) == 11);
}

NM_SEG_RULE(vmx_guest_ldtr_ti, NM_LDTR, nm_holds(!nm_usable(&s) || !nm_ti(&s)))
NM_SEG_RULE(vmx_guest_ldtr_type, NM_LDTR, nm_holds(!nm_usable(&s) || AR_TYPE(s.ar) == 2))
NM_SEG_RULE(vmx_guest_ldtr_s, NM_LDTR, nm_holds(!nm_usable(&s) || !(s.ar & AR_S)))
NM_SEG_RULE(vmx_guest_ldtr_p, NM_LDTR, nm_holds(nm_data_p(&s)))
NM_SEG_RULE(vmx_guest_ldtr_ar_reserved, NM_LDTR, nm_holds(nm_data_reserved(&s)))
NM_SEG_RULE(vmx_guest_ldtr_g_low, NM_LDTR, nm_holds(nm_data_g_low(&s)))
NM_SEG_RULE(vmx_guest_ldtr_g_high, NM_LDTR, nm_holds(nm_data_g_high(&s)))
NM_SEG_RULE(vmx_guest_ldtr_base_canonical, NM_LDTR,
	    nm_usable(&s) ? nm_cpu_canonical(c, s.base) : NESTMIG_HOLDS)
