/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the save area of the VMCB12, which in a blob of KVM is L1's state at its VMRUN, and
 * on VM_HSAVE_PA. Included by predicates.h.
 */

/* L1 in long mode, as KVM's checks see it. */
static inline int nm_host_long(const struct nestmig_ctx *c)
{
	return nm_long(vmcb12_save_efer(c->v->vmcb12), vmcb12_save_cr0(c->v->vmcb12));
}

/*
 * Is L1 in PAE paging once KVM has gone back to it? That goes by EFER.LMA, which svm_set_cr0 sets for
 * an L1 with LME that pages, but only if L2 did not page.
 */
static inline enum nestmig_holds nm_host_pae_at_exit(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcb12;
	uint64_t efer = vmcb12_save_efer(page);

	if (!nm_pae_paging(efer, vmcb12_save_cr0(page), vmcb12_save_cr4(page)))
		return NESTMIG_BROKEN;
	if (!(efer & NM_EFER_LME))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(SREGS)))
		return NESTMIG_UNKNOWN;
	return nm_holds(!!(c->v->sregs.cr0 & NM_CR0_PG));
}

static inline enum nestmig_holds rule_svm_host_cpl(const struct nestmig_ctx *c)
{
	return nm_holds(!vmcb12_save_cpl(c->v->vmcb12));
}

static inline enum nestmig_holds rule_svm_host_cr0_cd_nw(const struct nestmig_ctx *c)
{
	return nm_holds(nm_cd_nw_ok(vmcb12_save_cr0(c->v->vmcb12)));
}

static inline enum nestmig_holds rule_svm_host_cr0_high(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_save_cr0(c->v->vmcb12) & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_svm_host_cr0_pe(const struct nestmig_ctx *c)
{
	return nm_holds(!!(vmcb12_save_cr0(c->v->vmcb12) & NM_CR0_PE));
}

static inline enum nestmig_holds rule_svm_host_cr0_pg(const struct nestmig_ctx *c)
{
	return nm_holds(!!(vmcb12_save_cr0(c->v->vmcb12) & NM_CR0_PG));
}

/* In long mode svm-host-lme-cr3 says it. */
static inline enum nestmig_holds rule_svm_host_cr3_legacy(const struct nestmig_ctx *c)
{
	return nm_host_long(c) ? NESTMIG_HOLDS : nm_fits(&c->lim, vmcb12_save_cr3(c->v->vmcb12));
}

static inline enum nestmig_holds rule_svm_host_cr4(const struct nestmig_ctx *c)
{
	return nm_bits(vmcb12_save_cr4(c->v->vmcb12), c->lim.cr4_ok, c->lim.cr4_bad);
}

static inline enum nestmig_holds rule_svm_host_csld(const struct nestmig_ctx *c)
{
	uint64_t both = VMCB12_ATTRIB_L | VMCB12_ATTRIB_DB;

	return nm_holds(!nm_host_long(c) || (vmcb12_save_cs_attrib(c->v->vmcb12) & both) != both);
}

static inline enum nestmig_holds rule_svm_host_dr6_high(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_save_dr6(c->v->vmcb12) & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_svm_host_dr7_high(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_save_dr7(c->v->vmcb12) & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_svm_host_efer_svme(const struct nestmig_ctx *c)
{
	return nm_holds(!!(vmcb12_save_efer(c->v->vmcb12) & NM_EFER_SVME));
}

#define NM_EFER_LMSLE (UINT64_C(1) << 13)

/*
 * KVM lets L1 set LMSLE whatever the processor (6.1, 6.12). One without it refuses L1 after L2's next
 * exit (KVM_EXIT_FAIL_ENTRY), and not every such processor says so in its CPUID.
 */
static inline enum nestmig_holds rule_svm_host_efer_valid(const struct nestmig_ctx *c)
{
	uint64_t efer = vmcb12_save_efer(c->v->vmcb12);
	enum nestmig_holds holds = nm_bits(efer, c->lim.efer_ok, c->lim.efer_bad);

	return holds == NESTMIG_HOLDS && (efer & NM_EFER_LMSLE) ? NESTMIG_UNKNOWN : holds;
}

/* VM_HSAVE_PA: set, page aligned, in reach and RAM. */
static inline enum nestmig_holds rule_svm_host_hsave_msr(const struct nestmig_ctx *c)
{
	uint64_t address = c->v->hsave_pa;

	if (!address || (address & ~VMCB12_PAGE_MASK))
		return NESTMIG_BROKEN;
	return nm_both(nm_fits(&c->lim, address), nm_backed(c->mem.hsave));
}

static inline enum nestmig_holds rule_svm_host_lma(const struct nestmig_ctx *c)
{
	return nm_holds(nm_host_long(c) == !!(vmcb12_save_efer(c->v->vmcb12) & NM_EFER_LMA));
}

static inline enum nestmig_holds rule_svm_host_lme_cr3(const struct nestmig_ctx *c)
{
	return nm_host_long(c) ? nm_fits(&c->lim, vmcb12_save_cr3(c->v->vmcb12)) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_svm_host_lme_pae(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_host_long(c) || (vmcb12_save_cr4(c->v->vmcb12) & NM_CR4_PAE));
}

static inline enum nestmig_holds rule_svm_host_lme_pe(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_host_long(c) || (vmcb12_save_cr0(c->v->vmcb12) & NM_CR0_PE));
}

static inline enum nestmig_holds rule_svm_host_pdptrs(const struct nestmig_ctx *c)
{
	enum nestmig_holds pae = nm_host_pae_at_exit(c);

	if (pae == NESTMIG_BROKEN)
		return NESTMIG_HOLDS;
	if (c->mem.host_pdptrs_ok == NESTMIG_BACKED_YES)
		return NESTMIG_HOLDS;
	return pae == NESTMIG_HOLDS ? nm_backed(c->mem.host_pdptrs_ok) : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_svm_host_rflags_vm(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcb12_save_rflags(c->v->vmcb12) & NM_RFLAGS_VM));
}

/* A 64-bit L1 goes on at a canonical RIP; VMRUN leaves the address of the VMCB12 in RAX. */
static inline enum nestmig_holds rule_svm_host_rip(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcb12;
	int canonical = nm_canonical(vmcb12_save_rip(page), vmcb12_save_cr4(page));

	return nm_holds((!nm_host_long(c) || canonical) &&
			vmcb12_save_rax(page) == c->v->nested.vmcb_pa);
}

static inline enum nestmig_holds rule_svm_host_segs(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcb12;
	uint64_t cr4 = vmcb12_save_cr4(page);

	if (!nm_host_long(c))
		return NESTMIG_HOLDS;
	return nm_holds(nm_canonical(vmcb12_save_es_base(page), cr4) &&
			nm_canonical(vmcb12_save_cs_base(page), cr4) &&
			nm_canonical(vmcb12_save_ss_base(page), cr4) &&
			nm_canonical(vmcb12_save_ds_base(page), cr4) &&
			nm_canonical(vmcb12_save_gdtr_base(page), cr4) &&
			nm_canonical(vmcb12_save_idtr_base(page), cr4));
}
