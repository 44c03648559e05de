/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on L2's live registers: in guest mode SREGS, REGS and DEBUGREGS are L2's. Included by
 * predicates.h.
 */

/* L2 in long mode, as KVM's checks see it. */
static inline int nm_l2_long(const struct nestmig_ctx *c)
{
	return nm_long(c->v->sregs.efer, c->v->sregs.cr0);
}

static inline int nm_l2_pae_paging(const struct nestmig_ctx *c)
{
	return nm_pae_paging(c->v->sregs.efer, c->v->sregs.cr0, c->v->sregs.cr4);
}

static inline enum nestmig_holds rule_svm_l2_cr0_cd_nw(const struct nestmig_ctx *c)
{
	return nm_holds(nm_cd_nw_ok(c->v->sregs.cr0));
}

static inline enum nestmig_holds rule_svm_l2_cr0_high(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->sregs.cr0 & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_svm_l2_cr3_legacy(const struct nestmig_ctx *c)
{
	return nm_l2_long(c) ? NESTMIG_HOLDS : nm_fits(&c->lim, c->v->sregs.cr3);
}

static inline enum nestmig_holds rule_svm_l2_cr3_long(const struct nestmig_ctx *c)
{
	return nm_l2_long(c) ? nm_fits(&c->lim, c->v->sregs.cr3) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_svm_l2_cr4(const struct nestmig_ctx *c)
{
	return nm_bits(c->v->sregs.cr4, c->lim.cr4_ok, c->lim.cr4_bad);
}

static inline enum nestmig_holds rule_svm_l2_cr4_cet_wp(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->sregs.cr4 & NM_CR4_CET) || (c->v->sregs.cr0 & NM_CR0_WP));
}

static inline enum nestmig_holds rule_svm_l2_csl_legacy(const struct nestmig_ctx *c)
{
	return nm_holds(nm_l2_long(c) || !c->v->sregs.cs.l);
}

static inline enum nestmig_holds rule_svm_l2_csld(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	/* svm_set_segment takes bit 0 of both bytes (6.1). */
	return nm_holds(!nm_l2_long(c) || !(s->cr4 & NM_CR4_PAE) || !(s->cs.l & s->cs.db & 1));
}

static inline enum nestmig_holds rule_svm_l2_dr6(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->debugregs.dr6 & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_svm_l2_dr7(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->debugregs.dr7 & NM_HIGH_HALF));
}

/*
 * Up to 7.0 KVM_SET_SREGS does not look at EFER, so the processor's own reserved bits decide; from
 * 7.1 kvm_valid_efer does. LME and LMA are left to svm-l2-long-unsupported.
 */
static inline enum nestmig_holds rule_svm_l2_efer_reserved(const struct nestmig_ctx *c)
{
	const struct nestmig_limits *lim = &c->lim;
	uint64_t efer = c->v->sregs.efer & ~(NM_EFER_LME | NM_EFER_LMA);
	enum nestmig_holds hardware = nm_bits(efer, lim->efer_hw_ok, lim->efer_hw_bad);
	enum nestmig_holds kvm = nm_bits(efer, lim->efer_ok, lim->efer_bad);

	if (!c->h->kernel)
		return nm_agreed(hardware, kvm);
	return c->h->kernel < NESTMIG_KERNEL(7, 1) ? hardware : kvm;
}

static inline enum nestmig_holds rule_svm_l2_efer_svme(const struct nestmig_ctx *c)
{
	return nm_holds(nm_svme_at_set(c));
}

static inline enum nestmig_holds rule_svm_l2_lma(const struct nestmig_ctx *c)
{
	return nm_holds(nm_l2_long(c) == !!(c->v->sregs.efer & NM_EFER_LMA));
}

static inline enum nestmig_holds rule_svm_l2_lme_pae(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_l2_long(c) || (c->v->sregs.cr4 & NM_CR4_PAE));
}

static inline enum nestmig_holds rule_svm_l2_lme_pe(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_l2_long(c) || (c->v->sregs.cr0 & NM_CR0_PE));
}

static inline enum nestmig_holds rule_svm_l2_long_unsupported(const struct nestmig_ctx *c)
{
	uint64_t efer = c->v->sregs.efer & (NM_EFER_LME | NM_EFER_LMA);

	return nm_bits(efer, c->lim.efer_ok, c->lim.efer_bad);
}

/* With LME set it is svm-l2-lme-pe. */
static inline enum nestmig_holds rule_svm_l2_paged_real(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	return nm_holds(nm_l2_long(c) || !(s->cr0 & NM_CR0_PG) || (s->cr0 & NM_CR0_PE));
}

/* Not with nested paging, and not where SREGS2 brings the PDPTEs (pdptrs_from_userspace). */
static inline enum nestmig_holds rule_svm_l2_pdptr(const struct nestmig_ctx *c)
{
	if (!nm_l2_pae_paging(c) || nm_np_enabled(c) || (c->v->have & NESTMIG_HAVE(PDPTRS)))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.l2_pdptrs_ok);
}

static inline enum nestmig_holds rule_svm_l2_pdptr_np(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_l2_pae_paging(c) || !nm_np_enabled(c) ||
			(c->v->have & NESTMIG_HAVE(PDPTRS)));
}

/* Only 64-bit code has a RIP that can be non-canonical. */
static inline enum nestmig_holds rule_svm_l2_rip(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	return nm_holds(!nm_l2_long(c) || !s->cs.l || nm_canonical(c->v->regs.rip, s->cr4));
}

static inline enum nestmig_holds rule_svm_l2_segs_canonical(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	if (!nm_l2_long(c))
		return NESTMIG_HOLDS;
	return nm_holds(nm_canonical(s->fs.base, s->cr4) && nm_canonical(s->gs.base, s->cr4) &&
			nm_canonical(s->tr.base, s->cr4) && nm_canonical(s->ldt.base, s->cr4) &&
			nm_canonical(s->gdt.base, s->cr4) && nm_canonical(s->idt.base, s->cr4));
}
