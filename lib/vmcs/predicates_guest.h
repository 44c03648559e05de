/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates on the guest state of a VMCS12 and on L2's live registers: where each register comes
 * from, and what the rules on it share. Included by predicates.h.
 *
 * KVM_GET_NESTED_STATE writes L2's registers back into the VMCS12 (sync_vmcs02_to_vmcs12 and its rare
 * half, 6.1), so a saved L2 has most registers twice: in the guest-state area of the VMCS12, and in
 * SREGS, REGS and EVENTS. They should agree. If they do not, the order of the restore decides, because
 * KVM_SET_NESTED_STATE always fills the VMCS of L2 anew (vmx_set_nested_state sets dirty_vmcs12, so
 * prepare_vmcs02 and prepare_vmcs02_rare copy the whole guest-state area), with or without
 * RUN_PENDING:
 *
 *   segments, LDTR, TR, GDTR,	the VMCS12 if KVM_SET_SREGS came before KVM_SET_NESTED_STATE, as in
 *   IDTR, CR0, CR3, CR4	QEMU; else SREGS
 *   IA-32e mode		the entry control of the VMCS12 (nested_vmx_calc_efer), or EFER.LMA of
 *				SREGS if they come later
 *   RIP, RSP, RFLAGS		REGS if KVM_SET_REGS comes after, as in QEMU; else the VMCS12
 *   interruptibility		with RUN_PENDING the VMCS12, else 0; KVM_SET_VCPU_EVENTS after it
 *				replaces NMI blocking, and STI and MOV-SS blocking if it brings them
 *				(VALID_SHADOW)
 *   event to be injected	with RUN_PENDING the VMCS12; an event that EVENTS call injected takes
 *				its place (kvm_check_and_inject_events)
 *   DR7, DEBUGCTL, PAT, EFER,	checked in the VMCS12, each if its load control is set (EFER only with
 *   PERF_GLOBAL_CTRL, BNDCFGS	RUN_PENDING), but loaded only with RUN_PENDING
 *   SYSENTER_ESP, SYSENTER_EIP	KVM_SET_MSRS if it comes after, which makes them canonical; else the
 *				VMCS12
 *   pending debug exceptions,	the VMCS12
 *   SYSENTER_CS, link pointer
 *   activity state		checked in the VMCS12, never loaded: L2 is entered as active
 *   PDPTEs			see nm_pdptr and nm_reads_pdptes
 *
 * What nested_vmx_check_guest_state looks at it always takes from the VMCS12; what the processor and
 * vmx_guest_state_valid look at is what the list says. Where L1 runs, its next VM entry takes all of it
 * from the VMCS12.
 */

#define NM_RFLAGS_TF           (UINT64_C(1) << 8)
#define NM_RFLAGS_IF           (UINT64_C(1) << 9)
#define NM_CR4_PCIDE           (UINT64_C(1) << 17)
#define NM_SHADOW_MOV_SS       1 /* events.interrupt.shadow (uapi asm/kvm.h) */
#define NM_SHADOW_STI          2
#define NM_EVENTS_SHADOW       0x4 /* KVM_VCPUEVENT_VALID_SHADOW */
#define NM_EVENTS_PAYLOAD      0x10
#define NM_EVENTS_TRIPLE_FAULT 0x20
#define NM_BLOCKING_STI        (UINT64_C(1) << 0) /* interruptibility state */
#define NM_BLOCKING_MOV_SS     (UINT64_C(1) << 1)
#define NM_BLOCKING_SMI        (UINT64_C(1) << 2)
#define NM_BLOCKING_NMI        (UINT64_C(1) << 3)
#define NM_ENCLAVE             (UINT64_C(1) << 4)
#define NM_BLOCKING            (NM_BLOCKING_STI | NM_BLOCKING_MOV_SS)

/* ---- Where a register comes from ------------------------------------------------------------- */

/* Is there a VM entry to complete, one that loads what L1 wants loaded? */
static inline int nm_vmx_entry(const struct nestmig_ctx *c)
{
	return nm_in_l1(c) || nm_run_pending(c);
}

static inline int nm_sregs_decide(const struct nestmig_ctx *c)
{
	return !nm_in_l1(c) && !c->sregs_first;
}

static inline int nm_regs_decide(const struct nestmig_ctx *c)
{
	return !nm_in_l1(c) && !c->regs_first;
}

static inline int nm_events_decide(const struct nestmig_ctx *c)
{
	return !nm_in_l1(c) && !c->events_first;
}

/* Each of these says whether the value is known. */
static inline int nm_guest_cr0(const struct nestmig_ctx *c, uint64_t *ret)
{
	*ret = nm_sregs_decide(c) ? c->v->sregs.cr0 : vmcs12_guest_cr0(c->v->vmcs12);
	return !nm_sregs_decide(c) || (c->v->have & NESTMIG_HAVE(SREGS));
}

static inline int nm_guest_cr3(const struct nestmig_ctx *c, uint64_t *ret)
{
	*ret = nm_sregs_decide(c) ? c->v->sregs.cr3 : vmcs12_guest_cr3(c->v->vmcs12);
	return !nm_sregs_decide(c) || (c->v->have & NESTMIG_HAVE(SREGS));
}

static inline int nm_guest_cr4(const struct nestmig_ctx *c, uint64_t *ret)
{
	*ret = nm_sregs_decide(c) ? c->v->sregs.cr4 : vmcs12_guest_cr4(c->v->vmcs12);
	return !nm_sregs_decide(c) || (c->v->have & NESTMIG_HAVE(SREGS));
}

static inline int nm_guest_ia32e(const struct nestmig_ctx *c, int *ret)
{
	*ret = nm_sregs_decide(c) ? !!(c->v->sregs.efer & NM_EFER_LMA)
				  : vmcs12_entry(c->v->vmcs12, ENTRY_IA32E);
	return !nm_sregs_decide(c) || (c->v->have & NESTMIG_HAVE(SREGS));
}

/* KVM_SET_REGS sets bit 1 itself. */
static inline int nm_guest_rflags(const struct nestmig_ctx *c, uint64_t *ret)
{
	*ret = nm_regs_decide(c) ? c->v->regs.rflags | 2 : vmcs12_guest_rflags(c->v->vmcs12);
	return !nm_regs_decide(c) || (c->v->have & NESTMIG_HAVE(REGS));
}

static inline int nm_guest_rip(const struct nestmig_ctx *c, uint64_t *ret)
{
	*ret = nm_regs_decide(c) ? c->v->regs.rip : vmcs12_guest_rip(c->v->vmcs12);
	return !nm_regs_decide(c) || (c->v->have & NESTMIG_HAVE(REGS));
}

/* ---- Virtual-8086 mode, unrestricted guest --------------------------------------------------- */

/* KVM gives L2 exactly what L1 asks for (prepare_vmcs02_early), and refuses what it does not offer. */
static inline int nm_urg(const struct nestmig_ctx *c)
{
	if (c->vmx_bare)
		return c->h->unrestricted_guest;
	return vmcs12_proc2(c->v->vmcs12, PROC2_URG);
}

/* A condition that does not apply in virtual-8086 mode. */
static inline enum nestmig_holds nm_unless_v86(const struct nestmig_ctx *c, int ok)
{
	uint64_t rflags = 0;

	if (ok)
		return NESTMIG_HOLDS;
	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	return nm_holds(!!(rflags & NM_RFLAGS_VM));
}

/* One that applies there alone. */
static inline enum nestmig_holds nm_in_v86(const struct nestmig_ctx *c, int ok)
{
	uint64_t rflags = 0;

	if (ok)
		return NESTMIG_HOLDS;
	if (!nm_guest_rflags(c, &rflags))
		return NESTMIG_UNKNOWN;
	return nm_holds(!(rflags & NM_RFLAGS_VM));
}

/* ---- Canonical addresses --------------------------------------------------------------------- */

/* Are bits 63:n identical? */
static inline int nm_same_from(uint64_t address, unsigned n)
{
	uint64_t high = address >> n;

	return !high || high == ~UINT64_C(0) >> n;
}

/* Are bits 63:n - 1 + extra identical, n being 57 on a processor that has 5-level paging, used or not,
 * else 48? KVM reports the processor's own LA57 (KVM_GET_SUPPORTED_CPUID). */
static inline enum nestmig_holds nm_cpu_linear(const struct nestmig_ctx *c, uint64_t address,
					       unsigned extra)
{
	const struct nestmig_cpuid *cpuid = &c->h->cpuid;

	if (nm_same_from(address, 47 + extra))
		return NESTMIG_HOLDS;
	if (!nm_same_from(address, 56 + extra))
		return NESTMIG_BROKEN;
	if (!(c->h->have & NESTMIG_HAVE(HOST_CPUID)) || !(cpuid->have >> NESTMIG_CPUID_7_0_ECX & 1))
		return NESTMIG_UNKNOWN;
	return nm_holds(cpuid->word[NESTMIG_CPUID_7_0_ECX] >> 16 & 1);
}

static inline enum nestmig_holds nm_cpu_canonical(const struct nestmig_ctx *c, uint64_t address)
{
	return nm_cpu_linear(c, address, 0);
}

/* ---- Interruptibility and injection ---------------------------------------------------------- */

/* The interruptibility state at the first entry. Bits in *ret_unknown are not known. */
static inline uint64_t nm_guest_blocking(const struct nestmig_ctx *c, uint64_t *ret_unknown)
{
	const struct nestmig_events *e = &c->v->events;
	uint64_t bits = nm_vmx_entry(c) ? vmcs12_guest_interruptibility_info(c->v->vmcs12) : 0;

	*ret_unknown = 0;
	if (!nm_events_decide(c))
		return bits;
	if (!(c->v->have & NESTMIG_HAVE(EVENTS))) {
		*ret_unknown = NM_BLOCKING | NM_BLOCKING_NMI;
		return bits;
	}
	bits &= ~NM_BLOCKING_NMI;
	if (e->nmi_masked)
		bits |= NM_BLOCKING_NMI;
	if (!(e->flags & NM_EVENTS_SHADOW))
		return bits;
	bits &= ~NM_BLOCKING;
	if (e->intr_shadow & NM_SHADOW_MOV_SS)
		bits |= NM_BLOCKING_MOV_SS;
	else if (e->intr_shadow & NM_SHADOW_STI)
		bits |= NM_BLOCKING_STI;
	return bits;
}

/* Is an exception pending that KVM takes for one (KVM_CAP_EXCEPTION_PAYLOAD)? KVM_SET_REGS drops it. */
static inline int nm_exception_pending(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return (e->flags & NM_EVENTS_PAYLOAD) && e->exc_pending && !c->regs_after_events;
}

/* One that is injected, which pending ones replace. */
static inline int nm_exception_injected(const struct nestmig_events *e)
{
	return e->exc_injected && !((e->flags & NM_EVENTS_PAYLOAD) && e->exc_pending);
}

/* Does KVM_RUN find an exception or a triple fault to deliver (kvm_is_exception_pending)? */
static inline int nm_exception_waits(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_exception_pending(c) || nm_exception_injected(e) ||
	       ((e->flags & NM_EVENTS_TRIPLE_FAULT) && e->triple_fault);
}

enum nm_inject {
	NM_INJECT_NONE,
	NM_INJECT_INTR,
	NM_INJECT_NMI,
	NM_INJECT_OTHER,
	NM_INJECT_UNKNOWN
};

static inline enum nm_inject nm_vmcs12_inject(const struct nestmig_ctx *c)
{
	uint64_t info = vmcs12_vm_entry_intr_info_field(c->v->vmcs12);

	if (!nm_vmx_entry(c) || !(info & INJECT_VALID))
		return NM_INJECT_NONE;
	if (INJECT_TYPE(info) == INJECT_INTR)
		return NM_INJECT_INTR;
	return INJECT_TYPE(info) == INJECT_NMI ? NM_INJECT_NMI : NM_INJECT_OTHER;
}

/* What the first entry injects. */
static inline enum nm_inject nm_guest_inject(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	if (nm_in_l1(c))
		return nm_vmcs12_inject(c);
	if (!(c->v->have & NESTMIG_HAVE(EVENTS)))
		return NM_INJECT_UNKNOWN;
	if (nm_exception_injected(e))
		return NM_INJECT_OTHER;
	/* A pending exception waits until the VM entry is complete, and holds back what is injected. */
	if (nm_exception_pending(c))
		return nm_vmx_entry(c) ? nm_vmcs12_inject(c) : NM_INJECT_OTHER;
	if (e->nmi_injected)
		return NM_INJECT_NMI;
	if (e->intr_injected)
		return e->intr_soft ? NM_INJECT_OTHER : NM_INJECT_INTR;
	return nm_vmcs12_inject(c);
}

/* A condition on blocking that holds unless all of `bits` are set and `inject` is injected. */
static inline enum nestmig_holds nm_not_blocked(const struct nestmig_ctx *c, uint64_t bits,
						enum nm_inject inject)
{
	uint64_t unknown, blocking = nm_guest_blocking(c, &unknown);
	enum nm_inject now = nm_guest_inject(c);

	if (now != inject && now != NM_INJECT_UNKNOWN)
		return NESTMIG_HOLDS;
	if (!((blocking | unknown) & bits))
		return NESTMIG_HOLDS;
	if (now == NM_INJECT_UNKNOWN || !(blocking & ~unknown & bits))
		return NESTMIG_UNKNOWN;
	return NESTMIG_BROKEN;
}

#include "predicates_guest_seg.h"

#include "predicates_guest_cr.h"
#include "predicates_guest_nonreg.h"
