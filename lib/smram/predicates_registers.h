/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the registers that RSM loads: CR0, CR3, CR4, EFER, debug registers, RFLAGS, RIP, segments.
 * Included by predicates.h. Each judges its own step as if those before it had succeeded: what follows
 * is the same for all.
 */

static inline int nm_in_long(uint64_t efer, uint64_t cr0, uint64_t cr4)
{
	return nm_long(efer, cr0) && (cr4 & NM_CR4_PAE);
}

/* ---- CR0 ------------------------------------------------------------------------------------- */

/* Up to 6.1 the high half is that of L2's CR0 in the VMCB12, and 0 without an L2. */
static inline enum nestmig_holds rule_smm_cr0_high(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rsm->cr0 & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_smm_cr0_nw_cd(const struct nestmig_ctx *c)
{
	return nm_by_map(c, nm_cd_nw_ok(nm_image_cr0(c, 1)), nm_cd_nw_ok(nm_image_cr0(c, 0)));
}

static inline enum nestmig_holds rule_smm_cr0_pg_pe(const struct nestmig_ctx *c)
{
	uint64_t cr0_64 = nm_image_cr0(c, 1), cr0_32 = nm_image_cr0(c, 0);

	return nm_by_map(c, !(cr0_64 & NM_CR0_PG) || (cr0_64 & NM_CR0_PE),
			 !(cr0_32 & NM_CR0_PG) || (cr0_32 & NM_CR0_PE));
}

/* ---- CR3 ------------------------------------------------------------------------------------- */

/* A value that CR3 already has is not looked at, except with PAE paging (kvm_set_cr3). */
static inline enum nestmig_holds rule_smm_cr3_width(const struct nestmig_ctx *c)
{
	enum nestmig_holds fits;
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	fits = nm_fits(&c->lim, rsm->cr3);
	if (fits == NESTMIG_HOLDS || nm_pae_paging(rsm->loaded_efer, rsm->old_cr0, rsm->old_cr4))
		return fits;
	if (!rsm->has_old_cr3)
		return NESTMIG_UNKNOWN;
	return rsm->cr3 == rsm->old_cr3 ? NESTMIG_HOLDS : fits;
}

/* Is there a write that reads the PDPTEs: of CR3, CR4 or CR0? (kvm_set_cr3, kvm_set_cr4, kvm_set_cr0) */
static inline int nm_rsm_reads_pdptrs(const struct nm_rsm *rsm)
{
	uint64_t cr4 = rsm->cr4 & ~NM_CR4_PCIDE;

	if (nm_pae_paging(rsm->loaded_efer, rsm->old_cr0, rsm->old_cr4))
		return 1;
	if (nm_pae_paging(rsm->loaded_efer, rsm->old_cr0, cr4) &&
	    ((cr4 ^ rsm->old_cr4) & NM_CR4_PDPTR_BITS))
		return 1;
	return !(rsm->loaded_efer & NM_EFER_LME) && (rsm->cr0 & NM_CR0_PG) && (cr4 & NM_CR4_PAE) &&
	       ((rsm->cr0 ^ rsm->old_cr0) & NM_CR0_PDPTR_BITS);
}

/* With nested paging CR3 is an address of L2, whose translation is not followed here. */
static inline enum nestmig_holds rule_smm_pae_pdptrs(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	if (!nm_rsm_reads_pdptrs(rsm))
		return NESTMIG_HOLDS;
	if (rsm->path == NM_RSM_TO_L2 &&
	    (nm_rsm_is_vmx(c) ? vmcs12_proc2(c->v->vmcs12, PROC2_EPT)
			      : !!(vmcb12_nested_ctl(c->v->smm_vmcb12) & VMCB12_NP_ENABLE)))
		return NESTMIG_UNKNOWN;
	return nm_backed(c->mem.rsm_pdptrs_ok);
}

/* ---- CR4 ------------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_smm_cr4_cet_wp(const struct nestmig_ctx *c)
{
	uint64_t cr0_64 = nm_image_cr0(c, 1), cr0_32 = nm_image_cr0(c, 0);

	return nm_by_map(c, !(nm_image_cr4(c, 1) & NM_CR4_CET) || (cr0_64 & NM_CR0_WP),
			 !(nm_image_cr4(c, 0) & NM_CR4_CET) || (cr0_32 & NM_CR0_WP));
}

static inline enum nestmig_holds rule_smm_cr4_la57_nested(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!nm_rsm_in_long(rsm) || !((rsm->cr4 ^ rsm->old_cr4) & NM_CR4_LA57));
}

static inline enum nestmig_holds rule_smm_cr4_pae_nested(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!nm_rsm_in_long(rsm) || (rsm->cr4 & NM_CR4_PAE));
}

/* PCIDE is set last, when CR0 has made long mode. */
static inline enum nestmig_holds rule_smm_cr4_pcide_lma(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rsm->cr4 & NM_CR4_PCIDE) || (rsm->final_efer & NM_EFER_LMA));
}

/* Up to 6.1 the high half is that of L2's CR4 in the VMCB12, and 0 without an L2. */
static inline enum nestmig_holds rule_smm_cr4_reserved(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_bits(rsm->cr4, c->lim.cr4_ok, c->lim.cr4_bad);
}

/* ---- EFER ------------------------------------------------------------------------------------ */

/* With paging on, as L2's is, LME cannot change (set_efer). */
static inline enum nestmig_holds rule_smm_efer_lme_paging_nested(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rsm->old_cr0 & NM_CR0_PG) ||
			!((rsm->efer ^ rsm->old_efer) & NM_EFER_LME));
}

/* LMSLE: KVM lets it pass, but not every processor then runs the vCPU; see svm-host-efer-valid. */
static inline enum nestmig_holds rule_smm_efer_reserved(const struct nestmig_ctx *c)
{
	uint64_t efer = smram64_efer(c->v->smram) & ~NM_EFER_LMA;
	enum nestmig_holds is_64 = nm_rsm_is_64(c);
	enum nestmig_holds holds = nm_bits(efer, c->lim.efer_ok, c->lim.efer_bad);

	if (is_64 != NESTMIG_HOLDS)
		return is_64 == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	return holds == NESTMIG_HOLDS && (efer & NM_EFER_LMSLE) ? NESTMIG_UNKNOWN : holds;
}

/* ---- Long mode ------------------------------------------------------------------------------- */

static inline int nm_rsm_turns_on(const struct nm_rsm *rsm)
{
	return !(rsm->old_cr0 & NM_CR0_PG) && nm_long(rsm->loaded_efer, rsm->cr0);
}

/* KVM installs a flat CS before it enters L2, so only L2's CS of the VMCB12 can be in the way. */
static inline enum nestmig_holds rule_smm_long_csl_order(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	if (!rsm->old_cs_l)
		return NESTMIG_HOLDS;
	return nm_holds(!nm_rsm_turns_on(rsm) && (!nm_rsm_in_long(rsm) || (rsm->cr0 & NM_CR0_PG)));
}

static inline enum nestmig_holds rule_smm_long_csld(const struct nestmig_ctx *c)
{
	unsigned attributes = (unsigned)smram64_cs_attributes(c->v->smram);
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(nm_rsm_is_64(c) != NESTMIG_HOLDS ||
			!nm_in_long(rsm->final_efer, rsm->cr0, rsm->cr4) ||
			!(SMRAM_ATTRIB_L(attributes) & SMRAM_ATTRIB_DB(attributes)));
}

static inline enum nestmig_holds rule_smm_long_pae(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	return nm_holds(!nm_rsm_turns_on(rsm) || (rsm->cr4 & NM_CR4_PAE));
}

/* ---- Debug registers, RFLAGS, RIP ------------------------------------------------------------ */

/* The 32-bit map has no high halves. */
static inline enum nestmig_holds rule_smm_dr6_high(const struct nestmig_ctx *c)
{
	return nm_by_map(c, !(smram64_dr6(c->v->smram) & NM_HIGH_HALF), 1);
}

static inline enum nestmig_holds rule_smm_dr7_high(const struct nestmig_ctx *c)
{
	return nm_by_map(c, !(smram64_dr7(c->v->smram) & NM_HIGH_HALF), 1);
}

static inline uint64_t nm_image_rflags(const struct nestmig_ctx *c)
{
	return nm_rsm_is_64(c) == NESTMIG_HOLDS ? smram64_rflags(c->v->smram)
						: smram32_rflags(c->v->smram);
}

/*
 * A mode that the emulator refuses at the end of RSM (emulator_recalc_and_set_mode): then KVM gives up if
 * this is L1 at CPL 0, and else gives the guest a #UD, of which nothing is foretold.
 */
static inline enum nestmig_holds nm_rsm_refused(const struct nm_rsm *rsm, unsigned ss_attributes)
{
	if (rsm->path == NM_RSM_TO_L1 && !SMRAM_ATTRIB_DPL(ss_attributes))
		return NESTMIG_BROKEN;
	return rsm->path == NM_RSM_STOPS ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

/* Real mode, or virtual-8086 mode, with EFER.LMA. Where PG is set without PE, RSM does not get here. */
static inline enum nestmig_holds rule_smm_rflags_vm_long(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	if (!(rsm->final_efer & NM_EFER_LMA))
		return NESTMIG_HOLDS;
	if (rsm->cr0 & NM_CR0_PE ? !(nm_image_rflags(c) & NM_RFLAGS_VM) : !!(rsm->cr0 & NM_CR0_PG))
		return NESTMIG_HOLDS;
	return nm_rsm_refused(rsm, (unsigned)smram64_ss_attributes(c->v->smram));
}

static inline enum nestmig_holds rule_smm_rflags_vm_pe(const struct nestmig_ctx *c)
{
	return nm_by_map(
		c,
		!(smram64_rflags(c->v->smram) & NM_RFLAGS_VM) || (nm_image_cr0(c, 1) & NM_CR0_PE),
		!(smram32_rflags(c->v->smram) & NM_RFLAGS_VM) || (nm_image_cr0(c, 0) & NM_CR0_PE));
}

/* Outside 64-bit code KVM cuts RIP to 32 bits. */
static inline enum nestmig_holds rule_smm_rip(const struct nestmig_ctx *c)
{
	unsigned attributes = (unsigned)smram64_cs_attributes(c->v->smram);
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	if (nm_rsm_is_64(c) != NESTMIG_HOLDS || !(rsm->final_efer & NM_EFER_LMA) ||
	    !SMRAM_ATTRIB_L(attributes))
		return NESTMIG_HOLDS;
	return nm_holds(nm_canonical(smram64_rip(c->v->smram), rsm->cr4));
}

/* ---- Segments -------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_smm_seg_base_canon(const struct nestmig_ctx *c)
{
	const uint8_t *image = c->v->smram;
	uint64_t cr4;

	if (nm_rsm_is_64(c) != NESTMIG_HOLDS)
		return nm_rsm_is_64(c) == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
	cr4 = nm_image_cr4(c, 1);
	return nm_holds(nm_canonical(smram64_fs_base(image), cr4) &&
			nm_canonical(smram64_gs_base(image), cr4) &&
			nm_canonical(smram64_ldtr_base(image), cr4) &&
			nm_canonical(smram64_tr_base(image), cr4) &&
			nm_canonical(smram64_gdtr_base(image), cr4) &&
			nm_canonical(smram64_idtr_base(image), cr4));
}

/* In protected mode the emulator wants to know CS, and finds none that is not present. */
static inline enum nestmig_holds rule_smm_seg_cs(const struct nestmig_ctx *c)
{
	const uint8_t *image = c->v->smram;
	int is_64 = nm_rsm_is_64(c) == NESTMIG_HOLDS;
	unsigned cs, ss;
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	cs = (unsigned)(is_64 ? smram64_cs_attributes(image) : smram32_cs_attributes(image) >> 8);
	ss = (unsigned)(is_64 ? smram64_ss_attributes(image) : smram32_ss_attributes(image) >> 8);
	if (!(rsm->cr0 & NM_CR0_PE) || (nm_image_rflags(c) & NM_RFLAGS_VM) || SMRAM_ATTRIB_P(cs))
		return NESTMIG_HOLDS;
	return nm_rsm_refused(rsm, ss);
}
