/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the MSR areas of a VMCS12, in guest memory. Included by predicates.h. */

#define NM_MSR_UCODE_WRITE 0x79
#define NM_MSR_UCODE_REV   0x8b
#define NM_MSR_SMM_MONITOR 0x9b
#define NM_MSR_SMBASE      0x9e
#define NM_MSR_APIC_BASE   0x1b
#define NM_MSR_PAT         0x277
#define NM_MSR_EFER        0xc0000080
#define NM_MSR_FS_BASE     0xc0000100
#define NM_MSR_GS_BASE     0xc0000101
#define NM_MSR_TSC_AUX     0xc0000103

/* One entry of an area. */
struct nm_msr_entry {
	uint32_t index, reserved;
	uint64_t value;
};

static inline struct nm_msr_entry nm_msr_entry(const uint8_t *area, unsigned n)
{
	const uint8_t *p = area + NESTMIG_MSR_ENTRY_SIZE * n;

	return (struct nm_msr_entry){nm_le32(p), nm_le32(p + 4), nm_le64(p + 8)};
}

/* In x2APIC mode an x2APIC register may not be in a list. A stream that brings no APIC base has 0. */
static inline enum nestmig_holds nm_msr_x2apic(const struct nestmig_ctx *c,
					       const struct nm_msr_entry *e)
{
	uint64_t apic_base = c->v->sregs.apic_base;

	if (e->index >> 8 != 0x8)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(SREGS)) || !apic_base)
		return NESTMIG_UNKNOWN;
	return nm_holds(!(apic_base >> 10 & 1));
}

/* nested_vmx_msr_check_common */
static inline enum nestmig_holds nm_msr_common(const struct nestmig_ctx *c,
					       const struct nm_msr_entry *e)
{
	return nm_both(nm_holds(e->index != NM_MSR_UCODE_WRITE && e->index != NM_MSR_UCODE_REV &&
				!e->reserved),
		       nm_msr_x2apic(c, e));
}

/* ---- Their values: kvm_set_msr and kvm_get_msr, called by nested_vmx_load_msr and _store_msr ----- */

/* Registers whose value, or its being there, no bit of another register decides. */
static inline int nm_msr_is_plain(uint32_t index)
{
	switch (index) {
	case 0x10:  /* IA32_TIME_STAMP_COUNTER */
	case 0x174: /* IA32_SYSENTER_CS, _ESP, _EIP: KVM makes these canonical */
	case 0x175:
	case 0x176:
	case 0xc0000081: /* IA32_STAR */
	case 0xc0000084: /* IA32_FMASK */
		return 1;
	default:
		return 0;
	}
}

static inline int nm_msr_is_address(uint32_t index)
{
	/* IA32_LSTAR, IA32_CSTAR, IA32_KERNEL_GS_BASE */
	return index == 0xc0000082 || index == 0xc0000083 || index == 0xc0000102;
}

/* IA32_TSC_AUX is there with RDTSCP or RDPID. */
static inline enum nestmig_holds nm_msr_tsc_aux(const struct nestmig_ctx *c)
{
	enum nestmig_holds rdtscp = nm_cpuid_bit(c, NESTMIG_CPUID_80000001_EDX, 27);

	return rdtscp == NESTMIG_BROKEN ? nm_cpuid_bit(c, NESTMIG_CPUID_7_0_ECX, 22) : rdtscp;
}

/* What KVM takes from a guest. Of registers that are not listed here nothing is known. */
static inline enum nestmig_holds nm_msr_value(const struct nestmig_ctx *c,
					      const struct nm_msr_entry *e)
{
	uint32_t index = e->index;

	if (nm_msr_is_plain(index))
		return NESTMIG_HOLDS;
	if (nm_msr_is_address(index)) {
		if (nm_canonical_48(e->value))
			return NESTMIG_HOLDS;
		return nm_canonical_57(e->value) ? NESTMIG_UNKNOWN : NESTMIG_BROKEN;
	}
	if (index == NM_MSR_PAT)
		return nm_holds(nm_pat_valid(e->value));
	if (index == NM_MSR_TSC_AUX)
		return nm_both(nm_holds(!(e->value >> 32)), nm_msr_tsc_aux(c));
	/* x2APIC registers outside x2APIC mode, the VMX capabilities, SMBASE */
	if (index >> 8 == 0x8 || index == NM_MSR_SMBASE ||
	    (index >= NESTMIG_VMX_MSR_FIRST && index - NESTMIG_VMX_MSR_FIRST < NESTMIG_VMX_MSRS))
		return NESTMIG_BROKEN;
	/* Those that may never be in a list have rules of their own. */
	if (index == NM_MSR_FS_BASE || index == NM_MSR_GS_BASE || index == NM_MSR_SMM_MONITOR ||
	    index == NM_MSR_UCODE_WRITE || index == NM_MSR_UCODE_REV)
		return NESTMIG_HOLDS;
	return NESTMIG_UNKNOWN;
}

/* What KVM gives a guest. */
static inline enum nestmig_holds nm_msr_is_there(const struct nestmig_ctx *c, uint32_t index)
{
	if (nm_msr_is_plain(index) || nm_msr_is_address(index) || index == NM_MSR_PAT ||
	    index == NM_MSR_FS_BASE || index == NM_MSR_GS_BASE || index == NM_MSR_APIC_BASE ||
	    index == NM_MSR_EFER)
		return NESTMIG_HOLDS;
	if (index == NM_MSR_TSC_AUX)
		return nm_msr_tsc_aux(c);
	return index >> 8 == 0x8 ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

/* nested_vmx_load_msr_check */
static inline enum nestmig_holds nm_msr_loadable(const struct nestmig_ctx *c,
						 const struct nm_msr_entry *e)
{
	return nm_both(nm_holds(e->index != NM_MSR_FS_BASE && e->index != NM_MSR_GS_BASE &&
				e->index != NM_MSR_SMM_MONITOR),
		       nm_both(nm_msr_common(c, e), nm_msr_value(c, e)));
}

/* nested_vmx_store_msr_check */
static inline enum nestmig_holds nm_msr_storable(const struct nestmig_ctx *c,
						 const struct nm_msr_entry *e)
{
	if (e->index == NM_MSR_SMBASE)
		return NESTMIG_BROKEN;
	return nm_both(nm_msr_common(c, e), nm_msr_is_there(c, e->index));
}

#define NM_MSR_READ 512 /* entries that KVM reads at most; a flat context has fewer */

/* What a rule asks of each entry of an area. */
enum nm_msr_question {
	NM_MSR_Q_NOT_FS,
	NM_MSR_Q_NOT_GS,
	NM_MSR_Q_NOT_SMM_MONITOR,
	NM_MSR_Q_NOT_UCODE_WRITE,
	NM_MSR_Q_NOT_UCODE_REV,
	NM_MSR_Q_RESERVED,
	NM_MSR_Q_X2APIC,
	NM_MSR_Q_VALUE,
	NM_MSR_Q_LOADABLE,
	NM_MSR_Q_STORABLE
};

static inline enum nestmig_holds
nm_ask_msr(const struct nestmig_ctx *c, const struct nm_msr_entry *e, enum nm_msr_question question)
{
	switch (question) {
	case NM_MSR_Q_NOT_FS:
		return nm_holds(e->index != NM_MSR_FS_BASE);
	case NM_MSR_Q_NOT_GS:
		return nm_holds(e->index != NM_MSR_GS_BASE);
	case NM_MSR_Q_NOT_SMM_MONITOR:
		return nm_holds(e->index != NM_MSR_SMM_MONITOR);
	case NM_MSR_Q_NOT_UCODE_WRITE:
		return nm_holds(e->index != NM_MSR_UCODE_WRITE);
	case NM_MSR_Q_NOT_UCODE_REV:
		return nm_holds(e->index != NM_MSR_UCODE_REV);
	case NM_MSR_Q_RESERVED:
		return nm_holds(!e->reserved);
	case NM_MSR_Q_X2APIC:
		return nm_msr_x2apic(c, e);
	case NM_MSR_Q_VALUE:
		return nm_msr_value(c, e);
	case NM_MSR_Q_LOADABLE:
		return nm_msr_loadable(c, e);
	case NM_MSR_Q_STORABLE:
		break;
	}
	return nm_msr_storable(c, e);
}

/* Of entry n of an area that has as many, after those before it. */
NM_SHARED_ARGS(enum nestmig_holds, nm_ask_msrs_to, NESTMIG_UNKNOWN,
	       (const struct nestmig_ctx *c, unsigned area, unsigned n,
		enum nm_msr_question question, enum nestmig_holds before),
	       (c, area, n, question, before))
{
	struct nm_msr_entry e;

	if (area >= NESTMIG_MSR_AREAS || n >= NESTMIG_MSR_AREA_MAX)
		return NESTMIG_UNKNOWN;
	e = nm_msr_entry(c->v->msr_areas[area], n);
	return nm_both(before, nm_ask_msr(c, &e, question));
}

/* Of every entry of an area that is used. What is not there or is too long other rules judge; of an
 * allowed one that is longer than what was read it is unknown, if nothing is wrong so far. */
NM_SHARED_ARGS(enum nestmig_holds, nm_each_msr, NESTMIG_UNKNOWN,
	       (const struct nestmig_ctx *c, unsigned area, uint64_t count,
		enum nestmig_backed backed, enum nm_msr_question question),
	       (c, area, count, backed, question))
{
	enum nestmig_holds holds = NESTMIG_HOLDS;

	if (!count || backed == NESTMIG_BACKED_NO)
		return NESTMIG_HOLDS;
	if (!(c->v->have >> (NESTMIG_ITEM_ENTRY_LOAD + area) & 1))
		return NESTMIG_UNKNOWN;
	for (unsigned i = 0; i < count && i < NESTMIG_MSR_AREA_MAX && holds != NESTMIG_BROKEN; i++)
		holds = nm_ask_msrs_to(c, area, i, question, holds);
	if (count > NESTMIG_MSR_AREA_MAX &&
	    (NESTMIG_MSR_AREA_MAX < NM_MSR_READ || nm_msr_count(c, count) != NESTMIG_BROKEN))
		holds = nm_both(holds, NESTMIG_UNKNOWN);
	return holds;
}

static inline enum nestmig_holds nm_each_entry_msr(const struct nestmig_ctx *c,
						   enum nm_msr_question question)
{
	return nm_each_msr(c, NESTMIG_AREA_ENTRY_LOAD, vmcs12_vm_entry_msr_load_count(c->v->vmcs12),
			   c->vmx_mem.entry_load, question);
}

static inline enum nestmig_holds rule_vmx_msrload_fsbase(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_NOT_FS);
}

static inline enum nestmig_holds rule_vmx_msrload_gsbase(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_NOT_GS);
}

static inline enum nestmig_holds rule_vmx_msrload_smm_monitor(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_NOT_SMM_MONITOR);
}

static inline enum nestmig_holds rule_vmx_msrload_ucode_write(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_NOT_UCODE_WRITE);
}

static inline enum nestmig_holds rule_vmx_msrload_ucode_rev(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_NOT_UCODE_REV);
}

static inline enum nestmig_holds rule_vmx_msrload_reserved(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_RESERVED);
}

static inline enum nestmig_holds rule_vmx_msrload_x2apic(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_X2APIC);
}

static inline enum nestmig_holds rule_vmx_msrload_value(const struct nestmig_ctx *c)
{
	return nm_each_entry_msr(c, NM_MSR_Q_VALUE);
}

static inline enum nestmig_holds rule_vmx_msrload_readable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.entry_load);
}

static inline enum nestmig_holds rule_vmx_msrexitload_entry(const struct nestmig_ctx *c)
{
	return nm_each_msr(c, NESTMIG_AREA_EXIT_LOAD, vmcs12_vm_exit_msr_load_count(c->v->vmcs12),
			   c->vmx_mem.exit_load, NM_MSR_Q_LOADABLE);
}

static inline enum nestmig_holds rule_vmx_msrexitload_readable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.exit_load);
}

static inline enum nestmig_holds rule_vmx_msrexitstore_entry(const struct nestmig_ctx *c)
{
	return nm_each_msr(c, NESTMIG_AREA_EXIT_STORE, vmcs12_vm_exit_msr_store_count(c->v->vmcs12),
			   c->vmx_mem.exit_store, NM_MSR_Q_STORABLE);
}

static inline enum nestmig_holds rule_vmx_msrexitstore_writable(const struct nestmig_ctx *c)
{
	return nm_backed(c->vmx_mem.exit_store);
}
