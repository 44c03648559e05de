/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on an SMI that came in L2 (SVM): RSM enters L2 again from its VMCB12 in guest memory, with L1
 * parked in the page at VM_HSAVE_PA. Included by predicates.h.
 *
 * The checks of VMRUN are those of lib/vmcb/, made on other pages.
 */

/* Do all checks hold with this page in the place of the VMCB12 of the nested state? */
#define NM_CHECK_PAGE(c, page, checks) nm_check_page(c, page, checks, NM_COUNT(checks))

static inline enum nestmig_holds nm_check_page(const struct nestmig_ctx *c, const uint8_t *page,
					       nm_check *const *checks, unsigned count)
{
	struct nm_other other;
	enum nestmig_holds holds;

	nm_other_begin(&other, c);
	nm_other_vmcb12(&other, page);
	holds = nm_all(other.c, checks, count);
	nm_other_end(&other);
	return holds;
}

/* What a question about the L2 that RSM enters comes to where its VMCB12 is not at hand. */
static inline enum nestmig_holds nm_without_l2(const struct nestmig_ctx *c)
{
	enum nm_rsm_path path = nm_rsm_path(c);

	if (nm_rsm_is_vmx(c))
		return NESTMIG_HOLDS;
	return path == NM_RSM_TO_L2 || path == NM_RSM_OPEN ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

static inline int nm_enters_l2(const struct nestmig_ctx *c)
{
	return !nm_rsm_is_vmx(c) && nm_rsm_path(c) == NM_RSM_TO_L2 &&
	       nm_has(c, NESTMIG_HAVE(SMM_VMCB12));
}

/* ---- What svm_leave_smm asks for ------------------------------------------------------------- */

/* Was the SMI taken in L2 of an AMD guest? */
static inline enum nestmig_holds nm_from_l2(const struct nestmig_ctx *c)
{
	enum nestmig_holds is_64 = nm_rsm_is_64(c);

	if (c->v->vendor == NESTMIG_VENDOR_INTEL || is_64 == NESTMIG_BROKEN)
		return NESTMIG_BROKEN;
	if (!smram64_svm_guest_flag(c->v->smram))
		return NESTMIG_BROKEN;
	return c->v->vendor == NESTMIG_VENDOR_AMD ? is_64 : NESTMIG_UNKNOWN;
}

/* A question that only arises with such an image. */
static inline enum nestmig_holds nm_if_from_l2(const struct nestmig_ctx *c,
					       enum nestmig_holds holds)
{
	enum nestmig_holds from_l2 = nm_from_l2(c);

	if (from_l2 == NESTMIG_BROKEN || holds == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	return from_l2 == NESTMIG_HOLDS ? holds : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_smm_svm_cpuid(const struct nestmig_ctx *c)
{
	return nm_if_from_l2(c, nm_cpuid_bit(c, NESTMIG_CPUID_80000001_ECX, 2));
}

static inline enum nestmig_holds rule_smm_svm_efer_svme(const struct nestmig_ctx *c)
{
	return nm_if_from_l2(c, nm_holds(!!(smram64_efer(c->v->smram) & NM_EFER_SVME)));
}

static inline enum nestmig_holds rule_smm_svm_hsave_mapped(const struct nestmig_ctx *c)
{
	return nm_if_from_l2(c, nm_backed(c->mem.hsave));
}

static inline enum nestmig_holds rule_smm_svm_hsave_nonzero(const struct nestmig_ctx *c)
{
	return nm_if_from_l2(c, nm_holds(c->v->hsave_pa != 0));
}

/* The 32-bit map has no place for L2; the SMI wrote the flag all the same (6.1). */
static inline enum nestmig_holds rule_smm_svm_lm(const struct nestmig_ctx *c)
{
	if (c->v->vendor == NESTMIG_VENDOR_INTEL || !smram64_svm_guest_flag(c->v->smram))
		return NESTMIG_HOLDS;
	return nm_rsm_is_64(c);
}

static inline enum nestmig_holds rule_smm_svm_vmcb_align(const struct nestmig_ctx *c)
{
	uint64_t address = smram64_svm_guest_vmcb(c->v->smram);

	return nm_if_from_l2(
		c, nm_both(nm_holds(!(address & ~VMCB12_PAGE_MASK)), nm_fits(&c->lim, address)));
}

static inline enum nestmig_holds rule_smm_svm_vmcb_mapped(const struct nestmig_ctx *c)
{
	return nm_if_from_l2(c, nm_backed(c->mem.smm_vmcb12));
}

/* ---- L1, parked ------------------------------------------------------------------------------ */

/* Does #VMEXIT end in a triple fault: a CR3 that KVM refuses, or at which there are no page tables? */
static inline enum nestmig_holds nm_parked_cr3(const struct nestmig_ctx *c)
{
	return nm_both(nm_fits(&c->lim, vmcb12_save_cr3(c->v->hsave)), nm_backed(c->mem.hsave_cr3));
}

/* Does the processor take this L1 after #VMEXIT? Without NPT KVM sets CR4.PAE itself. */
static inline enum nestmig_holds nm_parked_entry(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {rule_svm_host_cr0_high, rule_svm_host_csld};
	static nm_check *const with_npt[] = {rule_svm_host_lme_pae};
	enum nestmig_holds holds = NM_CHECK_PAGE(c, c->v->hsave, checks);

	if ((c->h->have & NESTMIG_HAVE(HOST_PARAMS)) && c->h->npt)
		holds = nm_both(holds, NM_CHECK_PAGE(c, c->v->hsave, with_npt));
	return nm_both(holds, nm_bits(vmcb12_save_efer(c->v->hsave), c->lim.efer_hw_ok,
				      c->lim.efer_hw_bad));
}

/*
 * What KVM asks of an L1 that comes with the nested state. What of it surely ends L1 after L2's next exit is
 * broken; the rest, which KVM mends (CR0.PE, NW) or L1 may live with, is not known. The debug registers are
 * not parked.
 */
static inline enum nestmig_holds rule_smm_svm_hsave_content(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {
		rule_svm_host_cr0_cd_nw, rule_svm_host_cr0_pe,    rule_svm_host_cr0_pg,
		rule_svm_host_cr4,       rule_svm_host_efer_svme, rule_svm_host_efer_valid,
		rule_svm_host_lme_pae,   rule_svm_host_lme_pe,    rule_svm_host_rflags_vm,
	};
	enum nestmig_holds holds;

	if (nm_rsm_is_vmx(c) || nm_rsm_path(c) != NM_RSM_TO_L2 || !nm_has(c, NESTMIG_HAVE(HSAVE)))
		return nm_without_l2(c);
	holds = nm_both(nm_parked_cr3(c), nm_parked_entry(c));
	if (holds != NESTMIG_HOLDS)
		return holds;
	holds = NM_CHECK_PAGE(c, c->v->hsave, checks);
	return holds == NESTMIG_BROKEN ? NESTMIG_UNKNOWN : holds;
}

/*
 * With npt=0, svm_set_cr0 sets CR4 anew when paging is turned on or off, and on the way to L1 that is
 * still L2's (6.1): the high half of the VMCB12's CR4, which RSM does not mask, reaches L1.
 */
static inline int nm_l2_cr4_spoils_l1(const struct nestmig_ctx *c)
{
	if (c->h->npt && (c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return 0;
	return !nm_has(c, NESTMIG_HAVE(SMM_VMCB12)) || vmcb12_save_cr4(c->v->smm_vmcb12) >> 32;
}

/* Could this L1 be told of an exit of L2? Else nothing is foretold that ends with it. */
static inline int nm_parked_l1_is_sound(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->hsave;

	return nm_has(c, NESTMIG_HAVE(HSAVE)) && !nm_l2_cr4_spoils_l1(c) &&
	       rule_smm_svm_hsave_content(c) == NESTMIG_HOLDS &&
	       nm_canonical(vmcb12_save_rip(page), vmcb12_save_cr4(page));
}

/* ---- The VMCB12 ------------------------------------------------------------------------------ */

/* What nested_vmcb_check_controls of the destination asks for; of the events, see smm-nest-l2-entry-fail. */
static inline enum nestmig_holds rule_smm_svm_vmcb12_controls(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {rule_svm_ctl_asid_zero, rule_svm_ctl_iopm_range,
					   rule_svm_ctl_msrpm_range, rule_svm_ctl_ncr3_width,
					   rule_svm_ctl_vmrun_intercept};
	static nm_check *const since_6_4[] = {rule_svm_ctl_vnmi_nmi_intercept};
	static nm_check *const since_7_1[] = {rule_svm_ctl_evtinj_type, rule_svm_ctl_evtinj_vector};
	static nm_check *const until_7_1[] = {rule_svm_ctl_np_host};
	const uint8_t *page = c->v->smm_vmcb12;
	uint32_t kernel = c->h->kernel;
	enum nestmig_holds holds;

	if (!nm_enters_l2(c))
		return nm_without_l2(c);
	holds = NM_CHECK_PAGE(c, page, checks);
	if (kernel >= NESTMIG_KERNEL(6, 4))
		holds = nm_both(holds, NM_CHECK_PAGE(c, page, since_6_4));
	if (kernel >= NESTMIG_KERNEL(7, 1))
		return nm_both(holds, NM_CHECK_PAGE(c, page, since_7_1));
	return nm_both(holds, NM_CHECK_PAGE(c, page, until_7_1));
}

/* nested_svm_load_cr3, with the VMCB12's CR3 whatever the image has; the guest mode is there already. */
static inline enum nestmig_holds rule_smm_svm_vmcb12_cr3(const struct nestmig_ctx *c)
{
	if (!nm_enters_l2(c))
		return nm_without_l2(c);
	return nm_fits(&c->lim, vmcb12_save_cr3(c->v->smm_vmcb12));
}

/* __nested_vmcb_check_save, which looks at L2 as at L1. */
static inline enum nestmig_holds rule_smm_svm_vmcb12_save(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {
		rule_svm_host_cr0_cd_nw, rule_svm_host_cr0_high,   rule_svm_host_cr4,
		rule_svm_host_csld,      rule_svm_host_dr6_high,   rule_svm_host_dr7_high,
		rule_svm_host_efer_svme, rule_svm_host_efer_valid, rule_svm_host_lme_cr3,
		rule_svm_host_lme_pae,   rule_svm_host_lme_pe,
	};

	if (!nm_enters_l2(c))
		return nm_without_l2(c);
	return NM_CHECK_PAGE(c, c->v->smm_vmcb12, checks);
}

/* What KVM wrote when the SMI took the vCPU out of L2: SVM_EXIT_SW. */
static inline enum nestmig_holds rule_smm_svm_exitcode_sw(const struct nestmig_ctx *c)
{
	if (!nm_enters_l2(c))
		return nm_without_l2(c);
	return nm_holds((uint32_t)vmcb12_exit_code(c->v->smm_vmcb12) == 0xf0000000);
}

/* ---- After it: what the first entry fetches, and what the processor checks ------------------- */

/* Does the VMCB12's CR3 let the entry get as far as that? */
static inline int nm_l2_is_entered(const struct nestmig_ctx *c)
{
	return nm_enters_l2(c) && rule_smm_svm_vmcb12_cr3(c) == NESTMIG_HOLDS;
}

static inline enum nestmig_holds nm_l2_entry_known(const struct nestmig_ctx *c)
{
	if (!nm_enters_l2(c))
		return nm_without_l2(c);
	return rule_smm_svm_vmcb12_cr3(c) == NESTMIG_BROKEN ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_smm_svm_msrpm(const struct nestmig_ctx *c)
{
	if (!nm_l2_is_entered(c))
		return nm_l2_entry_known(c);
	if (!(vmcb12_intercept_word3(c->v->smm_vmcb12) & VMCB12_INTERCEPT3_MSR_PROT))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.smm_msrpm);
}

/* Does all of step 4 succeed? */
NM_SHARED(enum nestmig_holds, nm_rsm_loads, NESTMIG_UNKNOWN)
{
	static nm_check *const checks[] = {
		rule_smm_cr0_high,
		rule_smm_cr0_nw_cd,
		rule_smm_cr0_pg_pe,
		rule_smm_cr3_width,
		rule_smm_cr4_la57_nested,
		rule_smm_cr4_pae_nested,
		rule_smm_cr4_pcide_lma,
		rule_smm_cr4_reserved,
		rule_smm_dr6_high,
		rule_smm_dr7_high,
		rule_smm_efer_lme_paging_nested,
		rule_smm_efer_reserved,
		rule_smm_long_csl_order,
		rule_smm_long_pae,
		rule_smm_pae_pdptrs,
	};

	return NM_ALL(c, checks);
}

static inline int nm_rsm_is_np(const struct nestmig_ctx *c)
{
	return !!(vmcb12_nested_ctl(c->v->smm_vmcb12) & VMCB12_NP_ENABLE);
}

/*
 * With what is loaded by then. Where a step of the load fails, that is known if L2 was and stays in PAE
 * paging with the same CR3, or never is.
 */
NM_SHARED(enum nestmig_holds, nm_rsm_pdptes_readable, NESTMIG_UNKNOWN)
{
	enum nestmig_holds loads;
	NM_RSM(c, rsm);
	int before, after;

	if (!rsm)
		return NESTMIG_UNKNOWN;
	loads = nm_rsm_loads(c);
	before = nm_pae_paging(rsm->old_efer, rsm->old_cr0, rsm->old_cr4);
	after = nm_pae_paging(rsm->final_efer, rsm->cr0, rsm->cr4);
	if (loads == NESTMIG_HOLDS)
		return after ? nm_backed(c->mem.rsm_pdptrs_ok) : NESTMIG_HOLDS;
	if (!((rsm->old_cr4 | rsm->cr4) & NM_CR4_PAE))
		return NESTMIG_HOLDS;
	if (before && after && rsm->old_cr3 == rsm->cr3)
		return nm_backed(c->mem.rsm_pdptrs_ok);
	return rsm->old_efer & rsm->final_efer & NM_EFER_LMA ? NESTMIG_HOLDS : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_smm_svm_pdptrs(const struct nestmig_ctx *c)
{
	if (!nm_l2_is_entered(c))
		return nm_l2_entry_known(c);
	return nm_rsm_is_np(c) ? NESTMIG_HOLDS : nm_rsm_pdptes_readable(c);
}

/* The same of VMX, where L1's page tables for L2 are its EPT. */
static inline enum nestmig_holds nm_rsm_vmx_root(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (nm_rsm_path(c) != NM_RSM_TO_L2)
		return nm_rsm_path(c) == NM_RSM_OPEN ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
	if (vmcs12_proc2(c->v->vmcs12, PROC2_EPT))
		return nm_backed(c->vmx_mem.ept_root);
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	if (c->h->ept)
		return NESTMIG_HOLDS;
	if (!rsm)
		return NESTMIG_UNKNOWN;
	return rsm->cr0 & NM_CR0_PG ? nm_backed(c->mem.rsm_cr3) : NESTMIG_HOLDS;
}

/* The root that KVM shadows: of L1's nested page tables, or without NPT in the host, of L2's own. */
static inline enum nestmig_holds rule_smm_out_nested_warn(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (nm_rsm_is_vmx(c))
		return nm_rsm_vmx_root(c);
	if (!nm_l2_is_entered(c))
		return nm_l2_entry_known(c);
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	/* Nested paging on a host without is refused or dropped by newer kernels; 6.1 goes astray. */
	if (nm_rsm_is_np(c))
		return c->h->npt ? nm_backed(c->mem.smm_ncr3) : NESTMIG_UNKNOWN;
	if (c->h->npt)
		return NESTMIG_HOLDS;
	if (!rsm)
		return NESTMIG_UNKNOWN;
	return rsm->cr0 & NM_CR0_PG ? nm_backed(c->mem.rsm_cr3) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_smm_out_l1_shutdown(const struct nestmig_ctx *c)
{
	NM_RSM(c, rsm);

	if (!rsm)
		return NESTMIG_UNKNOWN;
	if (rsm->path != NM_RSM_TO_L1 || !(rsm->cr0 & NM_CR0_PG))
		return NESTMIG_HOLDS;
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	if (c->v->vendor == NESTMIG_VENDOR_INTEL ? c->h->ept : c->h->npt)
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.rsm_cr3);
}

/* L2's registers as RSM leaves them, for the checks that read SREGS. */
static inline void nm_rsm_sregs(const struct nestmig_ctx *c, const struct nm_rsm *rsm,
				struct nestmig_sregs *sregs)
{
	unsigned attributes = (unsigned)smram64_cs_attributes(c->v->smram);

	sregs->efer = rsm->final_efer;
	sregs->cr0 = (rsm->cr0 | NM_CR0_ET) & NM_CR0_KNOWN;
	sregs->cr3 = rsm->cr3;
	sregs->cr4 = rsm->cr4;
	sregs->cs.l = SMRAM_ATTRIB_L(attributes);
	sregs->cs.db = SMRAM_ATTRIB_DB(attributes);
	sregs->cs.present = SMRAM_ATTRIB_P(attributes);
}

/* The processor's checks of the merged VMCB that no rule on the image makes. */
static inline enum nestmig_holds rule_smm_nest_l2_entry_fail(const struct nestmig_ctx *c)
{
	static nm_check *const checks[] = {rule_svm_ctl_evtinj_mode, rule_svm_ctl_evtinj_type,
					   rule_svm_ctl_evtinj_vector};
	enum nestmig_holds holds;
	struct nm_other merged;
	NM_RSM(c, rsm);

	if (!nm_l2_is_entered(c))
		return nm_l2_entry_known(c);
	if (!rsm)
		return NESTMIG_UNKNOWN;
	nm_other_begin(&merged, c);
	nm_other_registers(&merged);
	nm_rsm_sregs(merged.c, rsm, &merged.v->sregs);
	nm_other_vmcb12(&merged, merged.v->smm_vmcb12);
	holds = NM_ALL(merged.c, checks);
	nm_other_end(&merged);
	return holds;
}
