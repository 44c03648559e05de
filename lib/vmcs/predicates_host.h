/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the host state of a VMCS12, which is L1's. Included by predicates.h. */

/* ---- Control registers ----------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_host_cr0_fixed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.cr0, vmcs12_host_cr0(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_cr0_fixed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.cr0, vmcs12_host_cr0(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_cr4_fixed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.cr4, vmcs12_host_cr4(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_cr4_fixed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.cr4, vmcs12_host_cr4(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_cr4_kvm_reserved(const struct nestmig_ctx *c)
{
	return nm_bits(vmcs12_host_cr4(c->v->vmcs12), c->lim.cr4_ok, c->lim.cr4_bad);
}

/* LAM_U48 and LAM_U57, which KVM leaves out of the check from 6.8 if the guest has LAM. */
#define NM_CR3_LAM (UINT64_C(3) << 61)

/* kvm_vcpu_is_legal_cr3 */
static inline enum nestmig_holds nm_cr3_fits(const struct nestmig_ctx *c, uint64_t cr3)
{
	enum nestmig_holds as_it_is = nm_fits(&c->lim, cr3);
	enum nestmig_holds lam = nm_cpuid_bit(c, NESTMIG_CPUID_7_1_EAX, 26);

	if (!(cr3 & NM_CR3_LAM) || as_it_is == NESTMIG_HOLDS)
		return as_it_is;
	if (lam == NESTMIG_BROKEN || (c->h->kernel && c->h->kernel < NESTMIG_KERNEL(6, 8)))
		return as_it_is;
	if (lam == NESTMIG_HOLDS && c->h->kernel)
		return nm_fits(&c->lim, cr3 & ~NM_CR3_LAM);
	return nm_agreed(as_it_is, nm_fits(&c->lim, cr3 & ~NM_CR3_LAM));
}

static inline enum nestmig_holds rule_vmx_host_cr3_width(const struct nestmig_ctx *c)
{
	return nm_cr3_fits(c, vmcs12_host_cr3(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_cr4_cet_wp(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_cr4(c->v->vmcs12) & NM_CR4_CET) ||
			(vmcs12_host_cr0(c->v->vmcs12) & NM_CR0_WP));
}

/* ---- Canonical addresses --------------------------------------------------------------------- */

static inline int nm_canonical_48(uint64_t address)
{
	return nm_canonical(address, 0);
}

static inline int nm_canonical_57(uint64_t address)
{
	return nm_canonical(address, NM_CR4_LA57);
}

/* Of an address that is canonical with 57 bits only: by LA57 of the CR4 that the vCPU has when KVM
 * checks. That is L2's at a restore, L1's at a VM entry (is_noncanonical_address, 6.1). */
static inline enum nestmig_holds nm_current_la57(const struct nestmig_ctx *c)
{
	if (!nm_in_l1(c) && !c->sregs_first)
		return NESTMIG_BROKEN;
	if (!(c->v->have & NESTMIG_HAVE(SREGS)))
		return NESTMIG_UNKNOWN;
	return nm_holds(c->v->sregs.cr4 & NM_CR4_LA57 ? 1 : 0);
}

/* By the width that the host's processor has (is_noncanonical_base_address and
 * is_noncanonical_msr_address, 6.13). */
static inline enum nestmig_holds nm_host_la57(const struct nestmig_ctx *c)
{
	if (!(c->h->have & NESTMIG_HAVE(HOST_CPUID)))
		return NESTMIG_UNKNOWN;
	return nm_holds(c->h->cpuid.word[NESTMIG_CPUID_7_0_ECX] >> 16 & 1);
}

/* The change came with 6.13 and went into some 6.12: there both have to say the same. */
static inline enum nestmig_holds nm_host_canonical(const struct nestmig_ctx *c, uint64_t address)
{
	if (nm_canonical_48(address))
		return NESTMIG_HOLDS;
	if (!nm_canonical_57(address))
		return NESTMIG_BROKEN;
	if (!c->h->kernel || c->h->kernel == NESTMIG_KERNEL(6, 12))
		return nm_agreed(nm_current_la57(c), nm_host_la57(c));
	return c->h->kernel < NESTMIG_KERNEL(6, 13) ? nm_current_la57(c) : nm_host_la57(c);
}

static inline enum nestmig_holds rule_vmx_host_sysenter_esp(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_ia32_sysenter_esp(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_sysenter_eip(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_ia32_sysenter_eip(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_fs_base_canonical(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_fs_base(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_gs_base_canonical(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_gs_base(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_tr_base_canonical(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_tr_base(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_gdtr_base_canonical(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_gdtr_base(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_idtr_base_canonical(const struct nestmig_ctx *c)
{
	return nm_host_canonical(c, vmcs12_host_idtr_base(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_asize64_rip_canonical(const struct nestmig_ctx *c)
{
	uint64_t rip = vmcs12_host_rip(c->v->vmcs12);
	enum nestmig_holds by_host = nm_holds(vmcs12_host_cr4(c->v->vmcs12) & NM_CR4_LA57 ? 1 : 0);

	if (nm_canonical_48(rip))
		return NESTMIG_HOLDS;
	if (!nm_canonical_57(rip))
		return NESTMIG_BROKEN;
	if (!c->h->kernel)
		return nm_agreed(nm_current_la57(c), by_host);
	return c->h->kernel < NESTMIG_KERNEL(6, 13) ? nm_current_la57(c) : by_host;
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

static inline enum nestmig_holds rule_vmx_host_pat(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_exit(c->v->vmcs12, EXIT_LOAD_PAT),
			  nm_pat_valid(vmcs12_host_ia32_pat(c->v->vmcs12)));
}

static inline enum nestmig_holds rule_vmx_host_pgc(const struct nestmig_ctx *c)
{
	if (!vmcs12_exit(c->v->vmcs12, EXIT_LOAD_PGC))
		return NESTMIG_HOLDS;
	return nm_pgc_valid(c, vmcs12_host_ia32_perf_global_ctrl(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_efer_reserved(const struct nestmig_ctx *c)
{
	if (!vmcs12_exit(c->v->vmcs12, EXIT_LOAD_EFER))
		return NESTMIG_HOLDS;
	return nm_bits(vmcs12_host_ia32_efer(c->v->vmcs12), c->lim.efer_ok, c->lim.efer_bad);
}

static inline int nm_host_64(const struct nestmig_ctx *c)
{
	return vmcs12_exit(c->v->vmcs12, EXIT_HOST_64);
}

/* KVM reads a 32-bit L1's page-directory pointers at each exit of L2 (nested_vmx_load_cr3). */
static inline enum nestmig_holds rule_vmx_host_pdptes(const struct nestmig_ctx *c)
{
	return vmcs12_host_pae(c->v->vmcs12) ? nm_backed(c->mem.host_pdptrs_ok) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_host_efer_lma(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_exit(c->v->vmcs12, EXIT_LOAD_EFER),
			  !!(vmcs12_host_ia32_efer(c->v->vmcs12) & NM_EFER_LMA) == nm_host_64(c));
}

static inline enum nestmig_holds rule_vmx_host_efer_lme(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_exit(c->v->vmcs12, EXIT_LOAD_EFER),
			  !!(vmcs12_host_ia32_efer(c->v->vmcs12) & NM_EFER_LME) == nm_host_64(c));
}

/* ---- Selectors ------------------------------------------------------------------------------- */

#define NM_RPL_TI 7

static inline enum nestmig_holds rule_vmx_host_cs_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_cs_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_ss_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_ss_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_ds_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_ds_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_es_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_es_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_fs_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_fs_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_gs_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_gs_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_tr_rpl_ti(const struct nestmig_ctx *c)
{
	return nm_holds(!(vmcs12_host_tr_selector(c->v->vmcs12) & NM_RPL_TI));
}

static inline enum nestmig_holds rule_vmx_host_cs_nonzero(const struct nestmig_ctx *c)
{
	return nm_holds(vmcs12_host_cs_selector(c->v->vmcs12) != 0);
}

static inline enum nestmig_holds rule_vmx_host_tr_nonzero(const struct nestmig_ctx *c)
{
	return nm_holds(vmcs12_host_tr_selector(c->v->vmcs12) != 0);
}

static inline enum nestmig_holds rule_vmx_host_ss_nonzero_32(const struct nestmig_ctx *c)
{
	return nm_holds(vmcs12_host_ss_selector(c->v->vmcs12) || nm_host_64(c));
}

/* ---- Address-space size ---------------------------------------------------------------------- */

/* In SMM the live EFER is the handler's: L1 has its own again before its next VM entry. */
static inline enum nestmig_holds rule_vmx_host_asize_vs_lma(const struct nestmig_ctx *c)
{
	return nm_holds(nm_events_smm(c) || nm_host_64(c) == !!(c->v->sregs.efer & NM_EFER_LMA));
}

static inline enum nestmig_holds rule_vmx_host_ia32eguest_needs_lma(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_entry(c->v->vmcs12, ENTRY_IA32E),
			  nm_events_smm(c) || (c->v->sregs.efer & NM_EFER_LMA));
}

static inline enum nestmig_holds rule_vmx_host_asize32_no_ia32eguest(const struct nestmig_ctx *c)
{
	return nm_implies(vmcs12_entry(c->v->vmcs12, ENTRY_IA32E), nm_host_64(c));
}

#define NM_CR4_PCIDE (UINT64_C(1) << 17)

static inline enum nestmig_holds rule_vmx_host_asize32_no_pcide(const struct nestmig_ctx *c)
{
	return nm_holds(nm_host_64(c) || !(vmcs12_host_cr4(c->v->vmcs12) & NM_CR4_PCIDE));
}

static inline enum nestmig_holds rule_vmx_host_asize32_rip_high(const struct nestmig_ctx *c)
{
	return nm_holds(nm_host_64(c) || !(vmcs12_host_rip(c->v->vmcs12) >> 32));
}

static inline enum nestmig_holds rule_vmx_host_asize64_pae(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_host_64(c) || (vmcs12_host_cr4(c->v->vmcs12) & NM_CR4_PAE));
}

/* ---- CET, from 6.18 -------------------------------------------------------------------------- */

#define NM_S_CET_SHSTK    UINT64_C(0x003)
#define NM_S_CET_IBT      (~UINT64_C(0x3c3))
#define NM_S_CET_RESERVED UINT64_C(0x3c0)
#define NM_S_CET_SUPPRESS UINT64_C(0xc00) /* SUPPRESS and TRACKER */

static inline int nm_loads_cet(const struct nestmig_ctx *c)
{
	return vmcs12_exit(c->v->vmcs12, EXIT_LOAD_CET);
}

/* kvm_is_valid_u_s_cet, but for SUPPRESS */
static inline enum nestmig_holds nm_s_cet_bits(const struct nestmig_ctx *c, uint64_t s_cet)
{
	enum nestmig_holds holds = nm_holds(!(s_cet & NM_S_CET_RESERVED));

	if (s_cet & NM_S_CET_SHSTK)
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_7_0_ECX, 7));
	if (s_cet & NM_S_CET_IBT)
		holds = nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_7_0_EDX, 20));
	return holds;
}

static inline enum nestmig_holds rule_vmx_host_s_cet_reserved(const struct nestmig_ctx *c)
{
	return nm_loads_cet(c) ? nm_s_cet_bits(c, vmcs12_host_s_cet(c->v->vmcs12)) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_host_s_cet_suppress(const struct nestmig_ctx *c)
{
	return nm_implies(nm_loads_cet(c), (vmcs12_host_s_cet(c->v->vmcs12) & NM_S_CET_SUPPRESS) !=
						   NM_S_CET_SUPPRESS);
}

/* As wide as L1's addresses are. */
static inline enum nestmig_holds nm_cet_address(const struct nestmig_ctx *c, uint64_t address)
{
	if (!nm_loads_cet(c))
		return NESTMIG_HOLDS;
	return nm_host_64(c) ? nm_host_canonical(c, address) : nm_holds(!(address >> 32));
}

static inline enum nestmig_holds rule_vmx_host_s_cet_canonical(const struct nestmig_ctx *c)
{
	return nm_cet_address(c, vmcs12_host_s_cet(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_ssp_align(const struct nestmig_ctx *c)
{
	return nm_implies(nm_loads_cet(c), !(vmcs12_host_ssp(c->v->vmcs12) & 3));
}

static inline enum nestmig_holds rule_vmx_host_ssp_canonical(const struct nestmig_ctx *c)
{
	return nm_cet_address(c, vmcs12_host_ssp(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_host_ssp_table(const struct nestmig_ctx *c)
{
	if (!nm_loads_cet(c))
		return NESTMIG_HOLDS;
	return nm_host_canonical(c, vmcs12_host_ssp_tbl(c->v->vmcs12));
}
