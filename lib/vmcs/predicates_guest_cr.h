/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on control registers, debug registers and MSRs of the guest state. Those that
 * nested_vmx_check_guest_state asks about go by the VMCS12 alone, in this order: CR0, CR4, DR7,
 * DEBUGCTL, PAT, link pointer, PERF_GLOBAL_CTRL, PG without PE, IA-32e mode, EFER, BNDCFGS, activity.
 * Included by predicates_guest.h.
 */

/* ---- CR0, CR3, CR4 --------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_vmx_guest_cr0_fixed0(const struct nestmig_ctx *c)
{
	uint64_t exempt = nm_urg(c) ? NM_CR0_PE | NM_CR0_PG : 0;

	return nm_ones(&c->vmx.cr0, vmcs12_guest_cr0(c->v->vmcs12) | exempt);
}

static inline enum nestmig_holds rule_vmx_guest_cr0_fixed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.cr0, vmcs12_guest_cr0(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_guest_cr0_pg_needs_pe(const struct nestmig_ctx *c)
{
	uint64_t cr0 = vmcs12_guest_cr0(c->v->vmcs12);

	return nm_holds(!(cr0 & NM_CR0_PG) || (cr0 & NM_CR0_PE));
}

/* From 6.8 a guest with LAM may have its two bits set (kvm_vcpu_is_legal_cr3). */
static inline enum nestmig_holds rule_vmx_guest_cr3_width(const struct nestmig_ctx *c)
{
	uint64_t cr3 = vmcs12_guest_cr3(c->v->vmcs12), lam = UINT64_C(3) << 61;
	enum nestmig_holds has_lam, without = nm_fits(&c->lim, cr3);

	if (without == NESTMIG_HOLDS || !(cr3 & lam) ||
	    (c->h->kernel && c->h->kernel < NESTMIG_KERNEL(6, 8)))
		return without;
	has_lam = nm_cpuid_bit(c, NESTMIG_CPUID_7_1_EAX, 26);
	if (has_lam == NESTMIG_BROKEN)
		return without;
	if (has_lam == NESTMIG_HOLDS && c->h->kernel)
		return nm_fits(&c->lim, cr3 & ~lam);
	return nm_agreed(without, nm_fits(&c->lim, cr3 & ~lam));
}

static inline enum nestmig_holds rule_vmx_guest_cr4_cet_wp(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!(vmcs12_guest_cr4(page) & NM_CR4_CET) ||
			(vmcs12_guest_cr0(page) & NM_CR0_WP));
}

static inline enum nestmig_holds rule_vmx_guest_cr4_fixed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.cr4, vmcs12_guest_cr4(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_guest_cr4_fixed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.cr4, vmcs12_guest_cr4(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_guest_cr4_kvm_reserved(const struct nestmig_ctx *c)
{
	return nm_bits(vmcs12_guest_cr4(c->v->vmcs12), c->lim.cr4_ok, c->lim.cr4_bad);
}

static inline enum nestmig_holds rule_vmx_guest_ia32e_needs_pae(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!vmcs12_entry(page, ENTRY_IA32E) || (vmcs12_guest_cr4(page) & NM_CR4_PAE));
}

static inline enum nestmig_holds rule_vmx_guest_ia32e_needs_pg(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!vmcs12_entry(page, ENTRY_IA32E) || (vmcs12_guest_cr0(page) & NM_CR0_PG));
}

static inline enum nestmig_holds rule_vmx_guest_legacy_no_pcide(const struct nestmig_ctx *c)
{
	uint64_t cr4 = 0;
	int ia32e = 0;

	if (!nm_guest_cr4(c, &cr4) || !nm_guest_ia32e(c, &ia32e))
		return NESTMIG_UNKNOWN;
	return nm_holds(ia32e || !(cr4 & NM_CR4_PCIDE));
}

/* ---- Debug registers ------------------------------------------------------------------------- */

#define NM_DEBUGCTL_LBR           (UINT64_C(1) << 0)
#define NM_DEBUGCTL_BTF           (UINT64_C(1) << 1)
#define NM_DEBUGCTL_BUS_LOCK      (UINT64_C(1) << 2)
#define NM_DEBUGCTL_FREEZE_LBRS   (UINT64_C(1) << 11)
#define NM_DEBUGCTL_FREEZE_IN_SMM (UINT64_C(1) << 14)
#define NM_DEBUGCTL_RTM           (UINT64_C(1) << 15)

static inline enum nestmig_holds rule_vmx_guest_dr7_high(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!vmcs12_entry(page, ENTRY_LOAD_DEBUG) ||
			!(vmcs12_guest_dr7(page) & NM_HIGH_HALF));
}

/* Does the destination's KVM report a feature of its processor? */
static inline enum nestmig_holds nm_host_bit(const struct nestmig_ctx *c,
					     enum nestmig_cpuid_word word, unsigned bit)
{
	const struct nestmig_cpuid *cpuid = &c->h->cpuid;

	if (!(c->h->have & NESTMIG_HAVE(HOST_CPUID)) || !(cpuid->have >> word & 1))
		return NESTMIG_UNKNOWN;
	return nm_holds(cpuid->word[word] >> bit & 1);
}

/* A feature that both the guest and the processor of the host must have. */
static inline enum nestmig_holds nm_guest_and_host(const struct nestmig_ctx *c,
						   enum nestmig_cpuid_word word, unsigned bit)
{
	return nm_both(nm_cpuid_bit(c, word, bit), nm_host_bit(c, word, bit));
}

static inline void nm_allow(enum nestmig_holds allowed, uint64_t bits, uint64_t *ok, uint64_t *bad)
{
	if (allowed == NESTMIG_HOLDS)
		*ok |= bits;
	if (allowed == NESTMIG_BROKEN)
		*bad |= bits;
}

/*
 * vmx_is_valid_debugctl: LBR and BTF pass, whatever they do. FREEZE_LBRS_ON_PMI needs the guest's
 * IA32_PERF_CAPABILITIES, which are not among the inputs. FREEZE_IN_SMM is refused by 6.1 (from
 * 6.1.149) and passes from 7.0 by a quirk; between them it goes by the stable release.
 */
static inline enum nestmig_holds rule_vmx_guest_debugctl(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;
	uint64_t ok = NM_DEBUGCTL_LBR | NM_DEBUGCTL_BTF;
	uint64_t bad = ~(ok | NM_DEBUGCTL_BUS_LOCK | NM_DEBUGCTL_FREEZE_LBRS | NM_DEBUGCTL_RTM |
			 NM_DEBUGCTL_FREEZE_IN_SMM);

	if (!vmcs12_entry(page, ENTRY_LOAD_DEBUG))
		return NESTMIG_HOLDS;
	nm_allow(nm_guest_and_host(c, NESTMIG_CPUID_7_0_ECX, 24), NM_DEBUGCTL_BUS_LOCK, &ok, &bad);
	nm_allow(nm_guest_and_host(c, NESTMIG_CPUID_7_0_EBX, 11), NM_DEBUGCTL_RTM, &ok, &bad);
	if (c->h->kernel == NESTMIG_KERNEL(6, 1))
		bad |= NM_DEBUGCTL_FREEZE_IN_SMM;
	if (c->h->kernel >= NESTMIG_KERNEL(7, 0))
		ok |= NM_DEBUGCTL_FREEZE_IN_SMM;
	return nm_bits(vmcs12_guest_ia32_debugctl(page), ok, bad);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

/* KVM_SET_MSRS writes them into L2's VMCS, too, and makes them canonical. */
static inline enum nestmig_holds nm_sysenter(const struct nestmig_ctx *c, uint64_t value,
					     uint32_t listed)
{
	enum nestmig_holds canonical = nm_cpu_canonical(c, value);

	if (canonical == NESTMIG_HOLDS || nm_in_l1(c) || c->msrs_first)
		return canonical;
	if (!(c->v->have & NESTMIG_HAVE(MSRS)))
		return NESTMIG_UNKNOWN;
	return c->v->msrs_listed & listed ? NESTMIG_HOLDS : canonical;
}

static inline enum nestmig_holds rule_vmx_guest_sysenter_eip(const struct nestmig_ctx *c)
{
	return nm_sysenter(c, vmcs12_guest_sysenter_eip(c->v->vmcs12), NESTMIG_LISTED_SYSENTER_EIP);
}

static inline enum nestmig_holds rule_vmx_guest_sysenter_esp(const struct nestmig_ctx *c)
{
	return nm_sysenter(c, vmcs12_guest_sysenter_esp(c->v->vmcs12), NESTMIG_LISTED_SYSENTER_ESP);
}

static inline enum nestmig_holds rule_vmx_guest_pat(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!vmcs12_entry(page, ENTRY_LOAD_PAT) ||
			nm_pat_valid(vmcs12_guest_ia32_pat(page)));
}

static inline enum nestmig_holds rule_vmx_guest_pgc(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	if (!vmcs12_entry(page, ENTRY_LOAD_PGC))
		return NESTMIG_HOLDS;
	return nm_pgc_valid(c, vmcs12_guest_ia32_perf_global_ctrl(page));
}

/* Is EFER loaded, which a restore asks about only with RUN_PENDING? */
static inline int nm_loads_efer(const struct nestmig_ctx *c)
{
	return nm_vmx_entry(c) && vmcs12_entry(c->v->vmcs12, ENTRY_LOAD_EFER);
}

static inline enum nestmig_holds rule_vmx_guest_efer_lma(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!nm_loads_efer(c) || !(vmcs12_guest_ia32_efer(page) & NM_EFER_LMA) ==
						     !vmcs12_entry(page, ENTRY_IA32E));
}

static inline enum nestmig_holds rule_vmx_guest_efer_lme(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	if (!nm_loads_efer(c) || !(vmcs12_guest_cr0(page) & NM_CR0_PG))
		return NESTMIG_HOLDS;
	return nm_holds(!(vmcs12_guest_ia32_efer(page) & NM_EFER_LME) ==
			!vmcs12_entry(page, ENTRY_IA32E));
}

static inline enum nestmig_holds rule_vmx_guest_efer_reserved(const struct nestmig_ctx *c)
{
	if (!nm_loads_efer(c))
		return NESTMIG_HOLDS;
	return nm_bits(vmcs12_guest_ia32_efer(c->v->vmcs12), c->lim.efer_ok, c->lim.efer_bad);
}

/*
 * is_noncanonical_address goes by the CR4.LA57 that the vCPU has at the ioctl, which SREGS have set or
 * left at 0; from 6.13, and in 6.12 by a backport, is_noncanonical_msr_address goes by the processor.
 */
static inline enum nestmig_holds rule_vmx_guest_bndcfgs_canonical(const struct nestmig_ctx *c)
{
	uint64_t base = vmcs12_guest_bndcfgs(c->v->vmcs12) & ~UINT64_C(0xfff);
	uint64_t la57 = c->sregs_first ? c->v->sregs.cr4 & NM_CR4_LA57 : 0;
	int knows_sregs = !c->sregs_first || (c->v->have & NESTMIG_HAVE(SREGS));

	if (!vmcs12_entry(c->v->vmcs12, ENTRY_LOAD_BNDCFGS) || nm_same_from(base, 47))
		return NESTMIG_HOLDS;
	if (!nm_same_from(base, 56))
		return NESTMIG_BROKEN;
	if (c->h->kernel && c->h->kernel < NESTMIG_KERNEL(6, 12) && !nm_in_l1(c) && knows_sregs)
		return nm_holds(!!la57);
	return c->h->kernel >= NESTMIG_KERNEL(6, 12) ? nm_cpu_canonical(c, base) : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_guest_bndcfgs_reserved(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!vmcs12_entry(page, ENTRY_LOAD_BNDCFGS) ||
			!(vmcs12_guest_bndcfgs(page) & 0xffc));
}

/* ---- CET, which KVM offers L1 from 6.18 ------------------------------------------------------ */

#define NM_S_CET_BITMAP (~UINT64_C(0xfff))

static inline int nm_cet_loaded(const struct nestmig_ctx *c)
{
	return vmcs12_entry(c->v->vmcs12, ENTRY_LOAD_CET);
}

static inline enum nestmig_holds rule_vmx_guest_s_cet_high(const struct nestmig_ctx *c)
{
	if (!nm_cet_loaded(c) || !nm_vmx_entry(c))
		return NESTMIG_HOLDS;
	return nm_cpu_canonical(c, vmcs12_guest_s_cet(c->v->vmcs12) & NM_S_CET_BITMAP);
}

/* KVM takes no bitmap address with bit 12 or 13 either (kvm_is_valid_u_s_cet). */
static inline enum nestmig_holds rule_vmx_guest_s_cet_reserved(const struct nestmig_ctx *c)
{
	uint64_t s_cet = vmcs12_guest_s_cet(c->v->vmcs12);

	if (!nm_cet_loaded(c))
		return NESTMIG_HOLDS;
	return nm_both(nm_s_cet_bits(c, s_cet), nm_holds(!(s_cet & 0x3000)));
}

static inline enum nestmig_holds rule_vmx_guest_s_cet_suppress(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_cet_loaded(c) ||
			(~vmcs12_guest_s_cet(c->v->vmcs12) & NM_S_CET_SUPPRESS));
}

static inline enum nestmig_holds rule_vmx_guest_ssp_align(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_cet_loaded(c) || !(vmcs12_guest_ssp(c->v->vmcs12) & 3));
}

static inline enum nestmig_holds rule_vmx_guest_ssp_high(const struct nestmig_ctx *c)
{
	struct nm_seg cs;
	int ia32e = 0;

	if (!nm_cet_loaded(c) || !nm_vmx_entry(c) ||
	    !(vmcs12_guest_ssp(c->v->vmcs12) & NM_HIGH_HALF))
		return NESTMIG_HOLDS;
	if (!nm_guest_ia32e(c, &ia32e) || !nm_guest_seg(c, NM_CS, &cs))
		return NESTMIG_UNKNOWN;
	return nm_holds(ia32e && (cs.ar & AR_L));
}

static inline enum nestmig_holds rule_vmx_guest_ssp_linear(const struct nestmig_ctx *c)
{
	return nm_cet_loaded(c) ? nm_cpu_linear(c, vmcs12_guest_ssp(c->v->vmcs12), 1)
				: NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_guest_ssp_table(const struct nestmig_ctx *c)
{
	if (!nm_cet_loaded(c))
		return NESTMIG_HOLDS;
	return nm_cpu_canonical(c, vmcs12_guest_ssp_tbl(c->v->vmcs12));
}
