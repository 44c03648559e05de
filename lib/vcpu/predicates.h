/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Predicates of the rules on sregs, events, debug registers and mp_state, and the few questions they
 * share. Needs no libc. Where the SVM rules ask the same of L2's registers, their predicate is asked
 * for the registers of a vCPU that is not in L2 (svm_l2 of the context says which it is).
 */
#ifndef NESTMIG_VCPU_PREDICATES_H
#define NESTMIG_VCPU_PREDICATES_H

#include "../vmcb/predicates.h"
#include "../vmcs/vmcs12.h"

/* Flags of struct kvm_vcpu_events (uapi asm/kvm.h). */
#define NM_EVENT_NMI_PENDING  0x01
#define NM_EVENT_SIPI_VECTOR  0x02
#define NM_EVENT_SHADOW       0x04
#define NM_EVENT_SMM          0x08
#define NM_EVENT_PAYLOAD      0x10
#define NM_EVENT_TRIPLE_FAULT 0x20
#define NM_EVENT_FLAGS        0x3f

/* KVM_MP_STATE_*. */
#define NM_MP_RUNNABLE      0
#define NM_MP_UNINITIALIZED 1
#define NM_MP_INIT_RECEIVED 2
#define NM_MP_HALTED        3
#define NM_MP_SIPI_RECEIVED 4
#define NM_MP_RESET_HOLD    9

#define NM_VECTOR_DB        1
#define NM_VECTOR_NMI       2
#define NM_VECTOR_BR        5
#define NM_VECTOR_DF        8
#define NM_VECTOR_PF        14

#define NM_RFLAGS_IF        (UINT64_C(1) << 9)

/* The first kernel with KVM_CAP_X86_TRIPLE_FAULT_EVENT. */
#define NM_TRIPLE_FAULT_SINCE NESTMIG_KERNEL(6, 1)
/* The first kernel that lets KVM_RUN refuse what KVM_SET_MP_STATE refused before. */
#define NM_MP_AT_RUN_SINCE NESTMIG_KERNEL(6, 17)

/* ---- What KVM makes of the events (kvm_vcpu_ioctl_x86_set_vcpu_events) -------------------------- */

static inline int nm_has_flag(const struct nestmig_ctx *c, uint32_t flag)
{
	return !!(c->v->events.flags & flag);
}

/* Without the flag PAYLOAD a pending exception is dropped. */
static inline int nm_exc_pending(const struct nestmig_ctx *c)
{
	return c->v->events.exc_pending && nm_has_flag(c, NM_EVENT_PAYLOAD);
}

/* A pending exception puts an injected one out. */
static inline int nm_exc_injected(const struct nestmig_ctx *c)
{
	return c->v->events.exc_injected && !nm_exc_pending(c);
}

static inline int nm_exc_any(const struct nestmig_ctx *c)
{
	return nm_exc_pending(c) || c->v->events.exc_injected;
}

static inline int nm_has_payload(const struct nestmig_ctx *c)
{
	return nm_exc_pending(c) && c->v->events.exc_has_payload;
}

/* An injected event, which has to be delivered before anything new is. */
static inline int nm_reinjects(const struct nestmig_ctx *c)
{
	const struct nestmig_events *e = &c->v->events;

	return nm_exc_injected(c) || e->intr_injected || e->nmi_injected;
}

static inline int nm_in_smm(const struct nestmig_ctx *c)
{
	return c->v->events.smi_smm && nm_has_flag(c, NM_EVENT_SMM);
}

static inline int nm_smi_pending(const struct nestmig_ctx *c)
{
	return c->v->events.smi_pending && nm_has_flag(c, NM_EVENT_SMM);
}

static inline int nm_nmi_pending(const struct nestmig_ctx *c)
{
	return c->v->events.nmi_pending && nm_has_flag(c, NM_EVENT_NMI_PENDING);
}

/* QEMU cuts its CPU_INTERRUPT_INIT, 0x400, to a byte and so never passes one on; without a local APIC
 * in the kernel KVM ignores it. */
static inline int nm_init_pending(const struct nestmig_ctx *c)
{
	if ((c->v->have & NESTMIG_HAVE(VM_CAPS)) && !(c->v->vm_caps & NESTMIG_VM_IRQCHIP))
		return 0;
	return c->v->events.smi_latched_init && nm_has_flag(c, NM_EVENT_SMM) && !c->is_qemu;
}

/* QEMU passes a triple fault on only to a kernel that takes it; to one that is not known it may. */
static inline int nm_triple_fault(const struct nestmig_ctx *c)
{
	if (!c->v->events.triple_fault || !nm_has_flag(c, NM_EVENT_TRIPLE_FAULT))
		return 0;
	return !c->is_qemu || !c->h->kernel || c->h->kernel >= NM_TRIPLE_FAULT_SINCE;
}

static inline int nm_is_svm_state(const struct nestmig_ctx *c)
{
	return (c->v->have & NESTMIG_HAVE(NESTED)) && c->v->nested.format == KVMNS_FORMAT_SVM;
}

static inline int nm_is_vmx_state(const struct nestmig_ctx *c)
{
	return (c->v->have & NESTMIG_HAVE(NESTED)) && c->v->nested.format == KVMNS_FORMAT_VMX;
}

/* GIF is set unless SVM state says otherwise. */
static inline int nm_gif(const struct nestmig_ctx *c)
{
	return !nm_is_svm_state(c) || (c->v->nested.flags & KVMNS_GIF_SET);
}

/* Is a nested entry pending: VMRUN, VMLAUNCH or VMRESUME emulated, L2 not yet entered? */
static inline int nm_run_pending(const struct nestmig_ctx *c)
{
	return (c->svm_l2 || c->vmx_l2) && (c->v->nested.flags & KVMNS_RUN_PENDING);
}

/* Does L1 have its exception bitmap, and for #PF mask and match of the error code, ask for this exception of
 * L2? (nested_vmx_is_exception_vmexit) */
static inline int nm_vmx_l1_takes(const struct nestmig_ctx *c, unsigned vector)
{
	const uint8_t *page = c->v->vmcs12;
	uint32_t code = c->v->events.exc_error_code;
	int bit, differs;

	if (!(c->v->have & NESTMIG_HAVE(VMCS12)) || vector > 31)
		return 0;
	bit = vmcs12_exception_bitmap(page) >> vector & 1;
	if (vector != NM_VECTOR_PF)
		return bit;
	differs = (code & vmcs12_page_fault_error_code_mask(page)) !=
		  vmcs12_page_fault_error_code_match(page);
	return bit ^ differs;
}

/* Does L1 intercept this exception of L2? (nested_svm_is_exception_vmexit) */
static inline int nm_l1_takes(const struct nestmig_ctx *c, unsigned vector)
{
	if (c->vmx_l2)
		return nm_vmx_l1_takes(c, vector);
	if (!c->svm_l2 || !(c->v->have & NESTMIG_HAVE(VMCB12)) || vector > 31)
		return 0;
	return vmcb12_intercept_exceptions(c->v->vmcb12) >> vector & 1;
}

/* Is a pending exception one that L1 gets as an exit, not L2 as an exception? */
static inline int nm_exc_exits(const struct nestmig_ctx *c)
{
	return nm_exc_pending(c) && nm_l1_takes(c, c->v->events.exc_nr);
}

/* An exception that the processor will be asked to deliver. #BP and #OF are none: KVM steps over the
 * instruction first, and drops them where there is none (svm_inject_exception). */
static inline int nm_exc_delivered(const struct nestmig_ctx *c)
{
	unsigned vector = c->v->events.exc_nr;

	return nm_exc_any(c) && !nm_exc_exits(c) && vector != 3 && vector != 4;
}

/* ---- Whose rules apply ------------------------------------------------------------------------ */

/* Of a condition that only kvm_intel or an Intel processor asks for. */
static inline enum nestmig_holds nm_on_intel(const struct nestmig_ctx *c, int condition)
{
	enum nestmig_vendor vendor = c->h->vendor ? c->h->vendor : c->v->vendor;

	if (condition || vendor == NESTMIG_VENDOR_AMD)
		return NESTMIG_HOLDS;
	return vendor == NESTMIG_VENDOR_INTEL ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

/* The same for AMD. */
static inline enum nestmig_holds nm_on_amd(const struct nestmig_ctx *c, int condition)
{
	enum nestmig_vendor vendor = c->h->vendor ? c->h->vendor : c->v->vendor;

	if (condition || vendor == NESTMIG_VENDOR_INTEL)
		return NESTMIG_HOLDS;
	return vendor == NESTMIG_VENDOR_AMD ? NESTMIG_BROKEN : NESTMIG_UNKNOWN;
}

/* Has the VMM of the destination enabled a capability of the VM? QEMU enables what it uses. */
static inline enum nestmig_holds nm_vm_cap(const struct nestmig_ctx *c, uint32_t cap)
{
	if (c->is_qemu)
		return NESTMIG_HOLDS;
	if (!(c->v->have & NESTMIG_HAVE(VM_CAPS)))
		return NESTMIG_UNKNOWN;
	return nm_holds(c->v->vm_caps & cap);
}

#include "predicates_events.h"
#include "predicates_run.h"
#include "predicates_sregs.h"

#endif
