/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on descriptor tables, RIP, RFLAGS, non-register state and PDPTEs of the guest state.
 * Included by predicates_guest.h.
 */

/* ---- Descriptor tables ----------------------------------------------------------------------- */

/* GDTR or IDTR at the first entry; says whether it is known. SREGS have limits of 16 bits. */
static inline int nm_guest_table(const struct nestmig_ctx *c, const struct nestmig_dtable *sregs,
				 uint64_t base, uint64_t limit, struct nm_seg *ret)
{
	*ret = (struct nm_seg){.base = base, .limit = (uint32_t)limit};
	if (!nm_sregs_decide(c))
		return 1;
	*ret = (struct nm_seg){.base = sregs->base, .limit = sregs->limit};
	return !!(c->v->have & NESTMIG_HAVE(SREGS));
}

#define NM_TABLE_RULES(name, member)                                                               \
	static inline enum nestmig_holds rule_vmx_guest_##name##_base_canonical(                   \
		const struct nestmig_ctx *c)                                                       \
	{                                                                                          \
		const uint8_t *page = c->v->vmcs12;                                                \
		struct nm_seg s;                                                                   \
                                                                                                   \
		if (!nm_guest_table(c, &c->v->sregs.member,                                        \
				    page ? vmcs12_guest_##name##_base(page) : 0,                   \
				    page ? vmcs12_guest_##name##_limit(page) : 0, &s))             \
			return NESTMIG_UNKNOWN;                                                    \
		return nm_cpu_canonical(c, s.base);                                                \
	}                                                                                          \
	static inline enum nestmig_holds rule_vmx_guest_##name##_limit(                            \
		const struct nestmig_ctx *c)                                                       \
	{                                                                                          \
		const uint8_t *page = c->v->vmcs12;                                                \
		struct nm_seg s;                                                                   \
                                                                                                   \
		if (!nm_guest_table(c, &c->v->sregs.member,                                        \
				    page ? vmcs12_guest_##name##_base(page) : 0,                   \
				    page ? vmcs12_guest_##name##_limit(page) : 0, &s))             \
			return NESTMIG_UNKNOWN;                                                    \
		return nm_holds(!(s.limit >> 16));                                                 \
	}

NM_TABLE_RULES(gdtr, gdt)
NM_TABLE_RULES(idtr, idt)

/* ---- RIP and RFLAGS -------------------------------------------------------------------------- */

/* Does L2 run 64-bit code? Says whether it is known. */
static inline int nm_guest_code64(const struct nestmig_ctx *c, int *ret)
{
	struct nm_seg cs;
	int ia32e = 0;

	if (!nm_guest_ia32e(c, &ia32e) || !nm_guest_seg(c, NM_CS, &cs))
		return 0;
	*ret = ia32e && (cs.ar & AR_L);
	return 1;
}

static inline enum nestmig_holds rule_vmx_guest_rip_high(const struct nestmig_ctx *c)
{
	uint64_t rip = 0;
	int code64 = 0;

	if (!nm_guest_rip(c, &rip) || !nm_guest_code64(c, &code64))
		return NESTMIG_UNKNOWN;
	return nm_holds(code64 || !(rip & NM_HIGH_HALF));
}

static inline enum nestmig_holds rule_vmx_guest_rip_linear(const struct nestmig_ctx *c)
{
	uint64_t rip = 0;
	int code64 = 0;

	if (!nm_guest_rip(c, &rip) || !nm_guest_code64(c, &code64))
		return NESTMIG_UNKNOWN;
	return code64 ? nm_cpu_linear(c, rip, 1) : NESTMIG_HOLDS;
}

/* Bits 63:22, 15, 5 and 3. */
#define NM_RFLAGS_RESERVED (~UINT64_C(0x3fffff) | 0x8028)

static inline enum nestmig_holds rule_vmx_guest_rflags_bit1(const struct nestmig_ctx *c)
{
	uint64_t rflags = 0;

	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	return nm_holds(!!(rflags & 2));
}

static inline enum nestmig_holds rule_vmx_guest_rflags_if_extint(const struct nestmig_ctx *c)
{
	enum nm_inject inject = nm_guest_inject(c);
	uint64_t rflags = 0;

	if (inject != NM_INJECT_INTR && inject != NM_INJECT_UNKNOWN)
		return NESTMIG_HOLDS;
	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	if (rflags & NM_RFLAGS_IF)
		return NESTMIG_HOLDS;
	return inject == NM_INJECT_UNKNOWN ? NESTMIG_UNKNOWN : NESTMIG_BROKEN;
}

static inline enum nestmig_holds rule_vmx_guest_rflags_reserved(const struct nestmig_ctx *c)
{
	uint64_t rflags = 0;

	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rflags & NM_RFLAGS_RESERVED));
}

static inline enum nestmig_holds rule_vmx_guest_rflags_vm(const struct nestmig_ctx *c)
{
	uint64_t rflags = 0, cr0 = 0;
	int ia32e = 0;

	if (!nm_guest_rflags(c, &rflags) || !nm_guest_cr0(c, &cr0) || !nm_guest_ia32e(c, &ia32e))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rflags & NM_RFLAGS_VM) || (!ia32e && (cr0 & NM_CR0_PE)));
}

/* ---- Activity state: KVM enters L2 as active, whatever it says ------------------------------- */

#define NM_ACTIVITY_HLT       1
#define NM_ACTIVITY_SHUTDOWN  2
#define NM_ACTIVITY_WAIT_SIPI 3

static inline uint64_t nm_activity(const struct nestmig_ctx *c)
{
	return vmcs12_guest_activity_state(c->v->vmcs12);
}

static inline enum nestmig_holds rule_vmx_guest_activity_hlt_dpl(const struct nestmig_ctx *c)
{
	return nm_holds(nm_activity(c) != NM_ACTIVITY_HLT ||
			!AR_DPL(vmcs12_guest_ss_ar_bytes(c->v->vmcs12)));
}

/* Halted: an external interrupt, an NMI, #DB, #MC or a pending MTF VM exit may be injected. */
static inline enum nestmig_holds rule_vmx_guest_activity_hlt_inject(const struct nestmig_ctx *c)
{
	uint64_t info = vmcs12_vm_entry_intr_info_field(c->v->vmcs12);
	unsigned type = INJECT_TYPE(info), vector = INJECT_VECTOR(info);

	if (!nm_vmx_entry(c) || nm_activity(c) != NM_ACTIVITY_HLT || !(info & INJECT_VALID))
		return NESTMIG_HOLDS;
	return nm_holds(type == INJECT_INTR || type == INJECT_NMI ||
			(type == INJECT_HARD && (vector == 1 || vector == 18)) ||
			(type == INJECT_OTHER && vector == 0));
}

static inline enum nestmig_holds rule_vmx_guest_activity_sti_movss(const struct nestmig_ctx *c)
{
	const uint8_t *page = c->v->vmcs12;

	return nm_holds(!nm_activity(c) ||
			!(vmcs12_guest_interruptibility_info(page) & NM_BLOCKING));
}

static inline enum nestmig_holds rule_vmx_guest_activity_value(const struct nestmig_ctx *c)
{
	return nm_holds(nm_activity(c) <= NM_ACTIVITY_WAIT_SIPI &&
			nm_activity(c) != NM_ACTIVITY_SHUTDOWN);
}

static inline enum nestmig_holds rule_vmx_guest_activity_wfs_inject(const struct nestmig_ctx *c)
{
	return nm_holds(!nm_vmx_entry(c) || nm_activity(c) != NM_ACTIVITY_WAIT_SIPI ||
			!(vmcs12_vm_entry_intr_info_field(c->v->vmcs12) & INJECT_VALID));
}

/* ---- Interruptibility ------------------------------------------------------------------------ */

/* A condition that breaks if all of `bits` are set. */
static inline enum nestmig_holds nm_not_all(const struct nestmig_ctx *c, uint64_t bits)
{
	uint64_t unknown, blocking = nm_guest_blocking(c, &unknown);

	if (((blocking | unknown) & bits) != bits)
		return NESTMIG_HOLDS;
	return bits & unknown ? NESTMIG_UNKNOWN : NESTMIG_BROKEN;
}

static inline enum nestmig_holds rule_vmx_guest_intr_enclave(const struct nestmig_ctx *c)
{
	enum nestmig_holds sgx;

	if (nm_not_all(c, NM_ENCLAVE) == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	sgx = nm_host_bit(c, NESTMIG_CPUID_7_0_EBX, 2);
	return nm_both(sgx, nm_not_all(c, NM_ENCLAVE | NM_BLOCKING_MOV_SS));
}

static inline enum nestmig_holds rule_vmx_guest_intr_extint_inject(const struct nestmig_ctx *c)
{
	return nm_not_blocked(c, NM_BLOCKING, NM_INJECT_INTR);
}

static inline enum nestmig_holds rule_vmx_guest_intr_nmi_movss(const struct nestmig_ctx *c)
{
	return nm_not_blocked(c, NM_BLOCKING_MOV_SS, NM_INJECT_NMI);
}

static inline enum nestmig_holds rule_vmx_guest_intr_nmi_sti(const struct nestmig_ctx *c)
{
	return nm_not_blocked(c, NM_BLOCKING_STI, NM_INJECT_NMI);
}

static inline enum nestmig_holds rule_vmx_guest_intr_reserved(const struct nestmig_ctx *c)
{
	uint64_t unknown;

	return nm_holds(!(nm_guest_blocking(c, &unknown) >> 5));
}

static inline enum nestmig_holds rule_vmx_guest_intr_smi(const struct nestmig_ctx *c)
{
	return nm_not_all(c, NM_BLOCKING_SMI);
}

static inline enum nestmig_holds rule_vmx_guest_intr_sti_and_movss(const struct nestmig_ctx *c)
{
	return nm_not_all(c, NM_BLOCKING);
}

static inline enum nestmig_holds rule_vmx_guest_intr_sti_if(const struct nestmig_ctx *c)
{
	enum nestmig_holds sti = nm_not_all(c, NM_BLOCKING_STI);
	uint64_t rflags = 0;

	if (sti == NESTMIG_HOLDS)
		return NESTMIG_HOLDS;
	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	return rflags & NM_RFLAGS_IF ? NESTMIG_HOLDS : sti;
}

/* KVM runs L2 with virtual NMIs where the processor has them, whether or not L1 asks for them. */
static inline enum nestmig_holds rule_vmx_guest_intr_vnmi(const struct nestmig_ctx *c)
{
	enum nestmig_holds holds = nm_not_blocked(c, NM_BLOCKING_NMI, NM_INJECT_NMI);

	if (holds == NESTMIG_BROKEN && !vmcs12_pin(c->v->vmcs12, PIN_VNMI))
		return NESTMIG_UNKNOWN;
	return holds;
}

/* ---- Pending debug exceptions ---------------------------------------------------------------- */

#define NM_PDBG_BUS_LOCK (UINT64_C(1) << 11)
#define NM_PDBG_ENABLED  (UINT64_C(1) << 12)
#define NM_PDBG_BS       (UINT64_C(1) << 14)
#define NM_PDBG_RTM      (UINT64_C(1) << 16)
/* Bits 10:4, 13, 15 and 63:17. */
#define NM_PDBG_RESERVED (~UINT64_C(0x1ffff) | 0xa7f0)

static inline uint64_t nm_pdbg(const struct nestmig_ctx *c)
{
	return vmcs12_guest_pending_dbg_exceptions(c->v->vmcs12);
}

/*
 * Blocking by STI or MOV SS asks that BS be TF: 1 if `bs` is what breaks, BS without TF, 0 if TF
 * without BS is. KVM never lets L2 have DEBUGCTL.BTF (vmx_get_supported_debugctl), which is why it does
 * not matter here.
 */
static inline enum nestmig_holds nm_pdbg_bs(const struct nestmig_ctx *c, int bs)
{
	uint64_t unknown, rflags = 0, blocking = nm_guest_blocking(c, &unknown);
	int is_set = !!(nm_pdbg(c) & NM_PDBG_BS);

	if (is_set != bs || !((blocking | unknown) & NM_BLOCKING))
		return NESTMIG_HOLDS;
	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	if (is_set == !!(rflags & NM_RFLAGS_TF))
		return NESTMIG_HOLDS;
	return blocking & ~unknown & NM_BLOCKING ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_guest_pdbg_bs_forbidden(const struct nestmig_ctx *c)
{
	return nm_pdbg_bs(c, 1);
}

static inline enum nestmig_holds rule_vmx_guest_pdbg_bs_required(const struct nestmig_ctx *c)
{
	return nm_pdbg_bs(c, 0);
}

/* Bit 11 is bus-lock detection on newer processors, reserved on others. */
static inline enum nestmig_holds rule_vmx_guest_pdbg_reserved(const struct nestmig_ctx *c)
{
	if (nm_pdbg(c) & NM_PDBG_RESERVED)
		return NESTMIG_BROKEN;
	if (!(nm_pdbg(c) & NM_PDBG_BUS_LOCK))
		return NESTMIG_HOLDS;
	return nm_host_bit(c, NESTMIG_CPUID_7_0_ECX, 24) == NESTMIG_HOLDS ? NESTMIG_HOLDS
									  : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_guest_pdbg_rtm_bits(const struct nestmig_ctx *c)
{
	uint64_t others = nm_pdbg(c) & ~NM_PDBG_RTM;

	return nm_holds(!(nm_pdbg(c) & NM_PDBG_RTM) || others == NM_PDBG_ENABLED);
}

static inline enum nestmig_holds rule_vmx_guest_pdbg_rtm_cpu(const struct nestmig_ctx *c)
{
	if (!(nm_pdbg(c) & NM_PDBG_RTM))
		return NESTMIG_HOLDS;
	return nm_host_bit(c, NESTMIG_CPUID_7_0_EBX, 11);
}

static inline enum nestmig_holds rule_vmx_guest_pdbg_rtm_movss(const struct nestmig_ctx *c)
{
	return nm_pdbg(c) & NM_PDBG_RTM ? nm_not_all(c, NM_BLOCKING_MOV_SS) : NESTMIG_HOLDS;
}

/* ---- VMCS link pointer (nested_vmx_check_vmcs_link_ptr) -------------------------------------- */

static inline enum nestmig_holds rule_vmx_guest_link_addr(const struct nestmig_ctx *c)
{
	uint64_t link = vmcs12_vmcs_link_pointer(c->v->vmcs12);

	return link == VMCS12_NO_GPA ? NESTMIG_HOLDS : nm_page_valid(c, link);
}

/* Is there a link that KVM follows? */
static inline int nm_follows_link(const struct nestmig_ctx *c)
{
	return vmcs12_vmcs_link_pointer(c->v->vmcs12) != VMCS12_NO_GPA &&
	       rule_vmx_guest_link_addr(c) != NESTMIG_BROKEN;
}

static inline enum nestmig_holds rule_vmx_guest_link_backed(const struct nestmig_ctx *c)
{
	return nm_follows_link(c) ? nm_backed(c->vmx_mem.link) : NESTMIG_HOLDS;
}

static inline enum nestmig_holds rule_vmx_guest_link_ne_current(const struct nestmig_ctx *c)
{
	uint64_t link = vmcs12_vmcs_link_pointer(c->v->vmcs12);

	return nm_holds(link == VMCS12_NO_GPA || link != c->v->nested.vmcs12_pa);
}

/* The first dword of the page. Holds: there is none to look at; broken: *ret is it. */
static inline enum nestmig_holds nm_link_header(const struct nestmig_ctx *c, uint32_t *ret)
{
	if (!nm_follows_link(c) || c->vmx_mem.link == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	*ret = c->v->link_header;
	return c->v->have & NESTMIG_HAVE(LINK_HEADER) ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

static inline enum nestmig_holds rule_vmx_guest_link_revision(const struct nestmig_ctx *c)
{
	uint32_t header = 0;
	enum nestmig_holds holds = nm_link_header(c, &header);

	if (holds != NESTMIG_BROKEN)
		return holds;
	return nm_holds((header & ~VMCS12_SHADOW) == VMCS12_REVISION);
}

static inline enum nestmig_holds rule_vmx_guest_link_shadow_bit(const struct nestmig_ctx *c)
{
	uint32_t header = 0;
	enum nestmig_holds holds = nm_link_header(c, &header);

	if (holds != NESTMIG_BROKEN)
		return holds;
	return nm_holds(!(header & VMCS12_SHADOW) == !vmcs12_proc2(c->v->vmcs12, PROC2_SHADOW));
}

/* ---- PDPTEs ---------------------------------------------------------------------------------- */

/* Does L2 use PAE paging? Says whether it is known. */
static inline int nm_guest_pae(const struct nestmig_ctx *c, int *ret)
{
	uint64_t cr0 = 0, cr4 = 0;
	int ia32e = 0;

	if (!nm_guest_cr0(c, &cr0) || !nm_guest_cr4(c, &cr4) || !nm_guest_ia32e(c, &ia32e))
		return 0;
	*ret = !ia32e && (cr0 & NM_CR0_PG) && (cr4 & NM_CR4_PAE);
	return 1;
}

/* Bits 2:1, 8:5 and those beyond the physical width, if it is present: that of the processor, whatever
 * the guest's is, and KVM reports it (KVM_GET_SUPPORTED_CPUID). */
static inline enum nestmig_holds nm_pdpte_ok(const struct nestmig_ctx *c, uint64_t pdpte)
{
	const struct nestmig_cpuid *cpuid = &c->h->cpuid;
	unsigned bits = cpuid->word[NESTMIG_CPUID_80000008_EAX] & 0xff;

	if (!(pdpte & 1))
		return NESTMIG_HOLDS;
	if (pdpte & 0x1e6 || pdpte >> 52)
		return NESTMIG_BROKEN;
	if (!(pdpte >> 32))
		return NESTMIG_HOLDS;
	if (!(c->h->have & NESTMIG_HAVE(HOST_CPUID)) ||
	    !(cpuid->have >> NESTMIG_CPUID_80000008_EAX & 1) || bits < 32)
		return NESTMIG_UNKNOWN;
	return nm_holds(bits >= 52 || !(pdpte >> bits));
}

/*
 * A PDPTE of an L2 with EPT: that of the VMCS12 (prepare_vmcs02), or that of KVM_SET_SREGS2 if it comes
 * later. A later KVM_SET_SREGS reads them through L1's EPT, which is not followed here.
 */
static inline enum nestmig_holds nm_pdptr(const struct nestmig_ctx *c, unsigned i)
{
	const uint8_t *page = c->v->vmcs12;
	int pae = 0;

	if (!vmcs12_proc2(page, PROC2_EPT))
		return NESTMIG_HOLDS;
	if (!nm_guest_pae(c, &pae))
		return NESTMIG_UNKNOWN;
	if (!pae)
		return NESTMIG_HOLDS;
	if (!nm_sregs_decide(c))
		return nm_pdpte_ok(c, nm_le64(page + VMCS12_OFFSET_guest_pdptr0 + 8 * i));
	if (!(c->v->have & NESTMIG_HAVE(PDPTRS)))
		return NESTMIG_UNKNOWN;
	return nm_pdpte_ok(c, c->v->sregs.pdptrs[i]);
}

static inline enum nestmig_holds rule_vmx_guest_pdptr0(const struct nestmig_ctx *c)
{
	return nm_pdptr(c, 0);
}

static inline enum nestmig_holds rule_vmx_guest_pdptr1(const struct nestmig_ctx *c)
{
	return nm_pdptr(c, 1);
}

static inline enum nestmig_holds rule_vmx_guest_pdptr2(const struct nestmig_ctx *c)
{
	return nm_pdptr(c, 2);
}

static inline enum nestmig_holds rule_vmx_guest_pdptr3(const struct nestmig_ctx *c)
{
	return nm_pdptr(c, 3);
}

/*
 * Without EPT they are read from memory at the first KVM_RUN (nested_get_vmcs12_pages), unless
 * KVM_SET_SREGS2 brought them. Holds: they are not; unknown: that, or where, is not known; broken: they
 * are, from where the CR3 of SREGS points, of which alone the memory is at hand.
 */
static inline enum nestmig_holds nm_reads_pdptes(const struct nestmig_ctx *c)
{
	uint64_t cr3 = 0;
	int pae = 0;

	if (vmcs12_proc2(c->v->vmcs12, PROC2_EPT))
		return NESTMIG_HOLDS;
	if (!nm_guest_pae(c, &pae) || !nm_guest_cr3(c, &cr3))
		return NESTMIG_UNKNOWN;
	if (!pae || (!nm_in_l1(c) && (c->v->have & NESTMIG_HAVE(PDPTRS))))
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(SREGS)) || c->v->sregs.cr3 != cr3)
		return NESTMIG_UNKNOWN;
	return NESTMIG_BROKEN;
}

static inline enum nestmig_holds rule_vmx_guest_pdpte_mem(const struct nestmig_ctx *c)
{
	enum nestmig_holds reads = nm_reads_pdptes(c);

	if (reads != NESTMIG_BROKEN)
		return reads;
	return c->mem.cr3 == NESTMIG_BACKED_NO ? NESTMIG_HOLDS : nm_backed(c->mem.l2_pdptrs_ok);
}

static inline enum nestmig_holds rule_vmx_guest_pdpte_mem_readable(const struct nestmig_ctx *c)
{
	enum nestmig_holds reads = nm_reads_pdptes(c);

	return reads == NESTMIG_BROKEN ? nm_backed(c->mem.cr3) : reads;
}
