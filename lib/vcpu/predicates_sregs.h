/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the registers of a vCPU that is not in an SVM L2: L1's, those of a plain guest, of an
 * SMM handler, and what KVM_SET_SREGS asks of a VMX L2. Of an SVM L2 the svm-l2 rules ask the same, and
 * what the processor asks of a VMX L2 the vmx-guest rules: they know which copy of it decides. Included by
 * predicates.h.
 */

static inline int nm_in_l2(const struct nestmig_ctx *c)
{
	return c->svm_l2 || c->vmx_l2;
}

static inline enum nestmig_holds rule_evt_sregs_cr0_high(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_cr0_high(c);
}

static inline enum nestmig_holds rule_evt_sregs_cr0_nwcd(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_cr0_cd_nw(c);
}

static inline enum nestmig_holds rule_evt_sregs_cr0_pgpe(const struct nestmig_ctx *c)
{
	uint64_t cr0 = c->v->sregs.cr0;

	return nm_holds(c->svm_l2 || !(cr0 & NM_CR0_PG) || (cr0 & NM_CR0_PE));
}

static inline enum nestmig_holds rule_evt_sregs_cr3_long(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_cr3_long(c);
}

/* Is a physical address surely beyond the destination's processor? */
static inline int nm_beyond_host(const struct nestmig_ctx *c, uint64_t address)
{
	const struct nestmig_cpuid *cpuid = &c->h->cpuid;
	unsigned bits = cpuid->word[NESTMIG_CPUID_80000008_EAX] & 0xff;

	if (!(c->h->have & NESTMIG_HAVE(HOST_CPUID)) ||
	    !(cpuid->have >> NESTMIG_CPUID_80000008_EAX & 1) || !bits || bits > 52)
		bits = 52;
	return !!(address >> bits);
}

/* A processor's view of CR3 is KVM's own where it shadows the page tables. What a processor makes of
 * bits above 31 that it has is not documented. */
static inline enum nestmig_holds rule_evt_sregs_cr3_legacy(const struct nestmig_ctx *c)
{
	uint64_t cr3 = c->v->sregs.cr3;

	if (nm_in_l2(c) || nm_l2_long(c) || nm_fits(&c->lim, cr3) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)) || !c->h->vendor)
		return NESTMIG_UNKNOWN;
	if (!(c->h->vendor == NESTMIG_VENDOR_AMD ? c->h->npt : c->h->ept))
		return NESTMIG_HOLDS;
	return nm_beyond_host(c, cr3) ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_evt_sregs_cr4(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_cr4(c);
}

static inline enum nestmig_holds rule_evt_sregs_cr4_cet(const struct nestmig_ctx *c)
{
	return nm_in_l2(c) ? NESTMIG_HOLDS : rule_svm_l2_cr4_cet_wp(c);
}

#define NM_CR4_VMXE  (UINT64_C(1) << 13)
#define NM_CR4_PCIDE (UINT64_C(1) << 17)

static inline enum nestmig_holds rule_evt_sregs_cr4_pcide(const struct nestmig_ctx *c)
{
	return nm_on_intel(c, c->vmx_l2 || !(c->v->sregs.cr4 & NM_CR4_PCIDE) || nm_l2_long(c));
}

static inline enum nestmig_holds rule_evt_sregs_csl(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_csl_legacy(c);
}

static inline enum nestmig_holds rule_evt_sregs_csld(const struct nestmig_ctx *c)
{
	return nm_in_l2(c) ? NESTMIG_HOLDS : rule_svm_l2_csld(c);
}

/*
 * What a processor of Intel makes of EFER: it has SCE, LME, LMA and NX, and KVM gives it the value as it is
 * (update_transition_efer). A pending VM entry of L1 may load another. Without unrestricted guest real mode
 * may be emulated, and the processor not see it.
 */
static inline enum nestmig_holds nm_intel_efer(const struct nestmig_ctx *c)
{
	int is_real = !nm_in_l2(c) && !(c->v->sregs.cr0 & NM_CR0_PE);
	int loads = c->vmx_l2 && c->sregs_first && nm_run_pending(c) &&
		    (c->v->have & NESTMIG_HAVE(VMCS12)) &&
		    vmcs12_entry(c->v->vmcs12, ENTRY_LOAD_EFER);

	if (loads || !(c->v->sregs.efer & ~UINT64_C(0xd01)))
		return NESTMIG_HOLDS;
	if (is_real && !((c->h->have & NESTMIG_HAVE(HOST_PARAMS)) && c->h->unrestricted_guest))
		return NESTMIG_UNKNOWN;
	return NESTMIG_BROKEN;
}

/* From 7.1 kvm_valid_efer decides. Before, what KVM_SET_SREGS takes reaches the processor. */
static inline enum nestmig_holds rule_evt_sregs_efer(const struct nestmig_ctx *c)
{
	const struct nestmig_limits *lim = &c->lim;
	uint64_t efer = c->v->sregs.efer;
	enum nestmig_holds hardware = nm_bits(efer, lim->efer_hw_ok, lim->efer_hw_bad);
	enum nestmig_holds kvm = nm_bits(efer, lim->efer_ok, lim->efer_bad);

	if (c->svm_l2)
		return NESTMIG_HOLDS;
	if (nm_on_amd(c, 0) == NESTMIG_HOLDS)
		hardware = nm_intel_efer(c);
	else if (nm_on_amd(c, 0) == NESTMIG_UNKNOWN && hardware == NESTMIG_BROKEN)
		hardware = NESTMIG_UNKNOWN;
	if (!c->h->kernel)
		return nm_agreed(hardware, kvm);
	return c->h->kernel < NESTMIG_KERNEL(7, 1) ? hardware : kvm;
}

static inline enum nestmig_holds rule_evt_sregs_long_lma(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_lma(c);
}

static inline enum nestmig_holds rule_evt_sregs_long_pae(const struct nestmig_ctx *c)
{
	return c->svm_l2 ? NESTMIG_HOLDS : rule_svm_l2_lme_pae(c);
}

/* ---- PDPTEs ----------------------------------------------------------------------------------- */

static inline enum nestmig_holds rule_evt_pdptr_flag(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->sregs.flags & ~UINT64_C(1)));
}

static inline enum nestmig_holds rule_evt_pdptr_mode(const struct nestmig_ctx *c)
{
	return nm_holds(!(c->v->have & NESTMIG_HAVE(PDPTRS)) || nm_l2_pae_paging(c));
}

/* On AMD the processor reads them from memory. */
static inline enum nestmig_holds rule_evt_pdptr_reserved(const struct nestmig_ctx *c)
{
	enum nestmig_holds fits = NESTMIG_HOLDS;

	if (!(c->v->have & NESTMIG_HAVE(PDPTRS)) || nm_on_intel(c, 0) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t pdpte = c->v->sregs.pdptrs[i];

		if (pdpte & 1)
			fits = nm_both(fits,
				       pdpte & 0x1e6 ? NESTMIG_BROKEN : nm_fits(&c->lim, pdpte));
	}
	return fits == NESTMIG_BROKEN ? nm_on_intel(c, 0) : fits;
}

/* In L2 svm-l2-pdptr says it. */
static inline enum nestmig_holds rule_evt_pdptr_sregs1(const struct nestmig_ctx *c)
{
	if (c->svm_l2 || !nm_l2_pae_paging(c) || (c->v->have & NESTMIG_HAVE(PDPTRS)))
		return NESTMIG_HOLDS;
	return nm_backed(c->mem.l2_pdptrs_ok);
}

/* ---- The rest ----------------------------------------------------------------------------------- */

#define NM_APIC_BASE_LOW    UINT64_C(0x2ff)
#define NM_APIC_BASE_X2APIC (UINT64_C(1) << 10)
#define NM_APIC_BASE_ENABLE (UINT64_C(1) << 11)

/* kvm_set_apic_base: x2APIC mode needs the bit of the CPUID, and the APIC enabled. */
static inline enum nestmig_holds rule_evt_sregs_apic_base(const struct nestmig_ctx *c)
{
	uint64_t base = c->v->sregs.apic_base;
	enum nestmig_holds holds = nm_fits(&c->lim, base);

	if (base & NM_APIC_BASE_LOW)
		return NESTMIG_BROKEN;
	if (!(base & NM_APIC_BASE_X2APIC))
		return holds;
	if (!(base & NM_APIC_BASE_ENABLE))
		return NESTMIG_BROKEN;
	return nm_both(holds, nm_cpuid_bit(c, NESTMIG_CPUID_1_ECX, 21));
}

static inline enum nestmig_holds rule_evt_sregs_cr8(const struct nestmig_ctx *c)
{
	return nm_holds(c->v->sregs.cr8 <= 15);
}

/* With unrestricted guest; without, real mode is virtual-8086 mode and KVM makes the segments. */
static inline enum nestmig_holds rule_evt_sregs_seg_rmode_dpl(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	if (c->vmx_l2 || (s->cr0 & NM_CR0_PE) || !(s->ss.dpl & 3) ||
	    nm_on_intel(c, 0) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	if (!(c->h->have & NESTMIG_HAVE(HOST_PARAMS)))
		return NESTMIG_UNKNOWN;
	return nm_on_intel(c, !c->h->unrestricted_guest);
}

static inline enum nestmig_holds rule_evt_sregs_smm_vmxe(const struct nestmig_ctx *c)
{
	if (!c->events_before_sregs || !nm_in_smm(c))
		return NESTMIG_HOLDS;
	return nm_on_intel(c, !(c->v->sregs.cr4 & NM_CR4_VMXE));
}

/* Bits 63:32 and the limits are not asked for: the limits have 16 bits. */
static inline enum nestmig_holds rule_evt_sregs_tables(const struct nestmig_ctx *c)
{
	const struct nestmig_sregs *s = &c->v->sregs;

	return nm_on_intel(c, c->vmx_l2 || (nm_canonical(s->gdt.base, s->cr4) &&
					    nm_canonical(s->idt.base, s->cr4)));
}
