/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU as rules see it, from what KVM holds of it now. What cannot be read here is absent: rules that need it
 * are unknown.
 */
#ifndef NESTMIG_GUARD_VIEW_BPF_H
#define NESTMIG_GUARD_VIEW_BPF_H

#include "guard_maps.bpf.h"
#include "../lib/bounds.h"
#include "../lib/vmcb/vmcb12.h"

#define CPUID_ENTRY_SIZE       40 /* struct kvm_cpuid_entry2, uapi asm/kvm.h */
#define CPUID_FLAG_SIGNIFICANT 1
#define CPUID_MAX              256

#define EVENT_NMI_PENDING      0x01 /* KVM_VCPUEVENT_VALID_x, uapi asm/kvm.h */
#define EVENT_SHADOW           0x04
#define EVENT_SMM              0x08
#define EVENT_PAYLOAD          0x10
#define EVENT_TRIPLE_FAULT     0x20

/* struct kvm_vcpu_events, uapi asm/kvm.h. */
struct vcpu_events {
	uint8_t exc_injected, exc_nr, exc_has_error_code, exc_pending;
	uint32_t exc_error_code;
	uint8_t intr_injected, intr_nr, intr_soft, intr_shadow;
	uint8_t nmi_injected, nmi_pending, nmi_masked, pad;
	uint32_t sipi_vector;
	uint32_t flags;
	uint8_t smi_smm, smi_pending, smi_inside_nmi, smi_latched_init;
	uint8_t triple_fault;
	uint8_t reserved[26];
	uint8_t exc_has_payload;
	uint64_t exc_payload;
};

_Static_assert(sizeof(struct vcpu_events) == 64, "struct kvm_vcpu_events has 64 bytes");

ALWAYS_INLINE bool is_in_l2(struct kvm_vcpu *vcpu)
{
	return BPF_CORE_READ(vcpu, stat.guest_mode);
}

/* Is a VMRUN, VMLAUNCH or VMRESUME of L1 still to be completed? */
ALWAYS_INLINE bool is_run_pending(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = (struct vcpu_svm *)vcpu;
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct kvm_vcpu___newer *newer = (void *)vcpu;

	if (bpf_core_field_exists(newer->arch.nested_run_pending))
		return BPF_CORE_READ(newer, arch.nested_run_pending);
	if (nm_vendor == NESTMIG_VENDOR_INTEL)
		return BPF_CORE_READ(vmx, nested.nested_run_pending);
	return BPF_CORE_READ(svm, nested.nested_run_pending);
}

/* HF_SMM_MASK (arch/x86/include/asm/kvm_host.h); the flags before it went in 6.4. */
ALWAYS_INLINE bool is_in_smm(struct kvm_vcpu *vcpu, uint32_t kernel)
{
	uint32_t bit = kernel < NESTMIG_KERNEL(6, 4) ? 1 << 6 : 1 << 1;

	return BPF_CORE_READ(vcpu, arch.hflags) & bit;
}

/* ---- CPUID ------------------------------------------------------------------------------------ */

/* struct kvm_cpuid_entry2. */
struct cpuid_entry {
	uint32_t function, index, flags, eax, ebx, ecx, edx, padding[3];
};

_Static_assert(sizeof(struct cpuid_entry) == CPUID_ENTRY_SIZE, "struct kvm_cpuid_entry2");

#define CPUID_AT_ONCE (NESTMIG_VMCB12_READ / CPUID_ENTRY_SIZE)

struct cpuid_walk {
	const char *entries; /* KVM's */
	uint8_t *page;       /* some of them */
	struct nestmig_cpuid *cpuid;
	uint32_t total;
};

/* One entry; of several that fit, the first counts. */
static long take_cpuid_entry(uint64_t i, struct cpuid_walk *walk)
{
	struct nestmig_cpuid *cpuid = walk->cpuid;
	const struct cpuid_entry *entry;
	bool any_index, wanted = false;
	uint32_t function;

	if (i >= CPUID_AT_ONCE)
		return 1;
	entry = (const struct cpuid_entry *)(walk->page + i * CPUID_ENTRY_SIZE);
	function = entry->function;
	/* Most are of no interest. */
#define CPUID_WORD(name, f, n, reg) wanted |= function == f;
#include "../lib/cpuid.def"
#undef CPUID_WORD
	if (!wanted)
		return 0;
	any_index = !(entry->flags & CPUID_FLAG_SIGNIFICANT);
#define CPUID_WORD(name, f, n, reg)                                                                \
	if (function == f && (any_index || entry->index == n) &&                                   \
	    !(cpuid->have >> NESTMIG_CPUID_##name & 1)) {                                          \
		cpuid->word[NESTMIG_CPUID_##name] = entry->reg;                                    \
		cpuid->have |= UINT32_C(1) << NESTMIG_CPUID_##name;                                \
	}
#include "../lib/cpuid.def"
#undef CPUID_WORD
	return 0;
}

/* As many entries as a page has room for. */
static long take_cpuid_page(uint64_t i, struct cpuid_walk *walk)
{
	uint32_t at = i * CPUID_AT_ONCE, rest = walk->total - at;
	uint64_t size = rest * CPUID_ENTRY_SIZE;

	if (at >= walk->total)
		return 1;
	/* The verifier has to see the register that is compared. */
	barrier_var(size);
	if (size > CPUID_AT_ONCE * CPUID_ENTRY_SIZE)
		size = CPUID_AT_ONCE * CPUID_ENTRY_SIZE;
	if (bpf_probe_read_kernel(walk->page, size, walk->entries + at * CPUID_ENTRY_SIZE))
		return 1;
	bpf_loop(rest < CPUID_AT_ONCE ? rest : CPUID_AT_ONCE, take_cpuid_entry, walk, 0);
	return 0;
}

/* A leaf that the guest's CPUID lacks reads as zero; the width of addresses is the one that KVM took. page: room for
 * entries. */
static __attribute__((noinline)) int take_cpuid(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu,
						uint8_t *page)
{
	struct cpuid_walk walk = {
		.entries = (const char *)BPF_CORE_READ(vcpu, arch.cpuid_entries),
		.page = page,
		.cpuid = &v->cpuid,
		.total = BPF_CORE_READ(vcpu, arch.cpuid_nent),
	};

	__builtin_memset(&v->cpuid, 0, sizeof(v->cpuid));
	if (walk.total > CPUID_MAX)
		return -1;
	bpf_loop((walk.total + CPUID_AT_ONCE - 1) / CPUID_AT_ONCE, take_cpuid_page, &walk, 0);
	v->cpuid.have = (UINT32_C(1) << NESTMIG_CPUID_WORDS) - 1;
	v->cpuid.word[NESTMIG_CPUID_80000008_EAX] &= ~UINT32_C(0xff);
	v->cpuid.word[NESTMIG_CPUID_80000008_EAX] |= BPF_CORE_READ(vcpu, arch.maxphyaddr) & 0xff;
	v->have |= NESTMIG_HAVE(CPUID);
	return 0;
}

/* ---- Registers -------------------------------------------------------------------------------- */

/* enum kvm_reg (arch/x86/include/asm/kvm_host.h). */
ALWAYS_INLINE void take_regs(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu, uint64_t rflags)
{
	unsigned long r[17];

	if (BPF_CORE_READ_INTO(&r, vcpu, arch.regs))
		return;
	v->regs = (struct nestmig_regs){
		.rax = r[0],
		.rcx = r[1],
		.rdx = r[2],
		.rbx = r[3],
		.rsp = r[4],
		.rbp = r[5],
		.rsi = r[6],
		.rdi = r[7],
		.r8 = r[8],
		.r9 = r[9],
		.r10 = r[10],
		.r11 = r[11],
		.r12 = r[12],
		.r13 = r[13],
		.r14 = r[14],
		.r15 = r[15],
		.rip = r[16],
		.rflags = rflags,
	};
	v->have |= NESTMIG_HAVE(REGS);
}

/* What of struct kvm_sregs is not in the VMCB or VMCS. */
ALWAYS_INLINE void take_control_registers(struct nestmig_sregs *sregs, struct kvm_vcpu *vcpu)
{
	sregs->cr0 = BPF_CORE_READ(vcpu, arch.cr0);
	sregs->cr2 = BPF_CORE_READ(vcpu, arch.cr2);
	sregs->cr3 = BPF_CORE_READ(vcpu, arch.cr3);
	sregs->cr4 = BPF_CORE_READ(vcpu, arch.cr4);
	sregs->cr8 = 0; /* only that of a local APIC in user space is here; no rule reads it */
	sregs->efer = BPF_CORE_READ(vcpu, arch.efer);
	sregs->apic_base = BPF_CORE_READ(vcpu, arch.apic_base);
	sregs->flags = 0;
	__builtin_memset(sregs->interrupt_bitmap, 0, sizeof(sregs->interrupt_bitmap));
}

/* As kvm_vcpu_ioctl_x86_get_vcpu_events puts them together (6.1). */
static __attribute__((noinline)) int take_events(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu,
						 uint32_t kernel)
{
	struct nestmig_events *events = &v->events;
	struct kvm_queued_exception e;
	struct kvm_queued_interrupt i;
	bool payloads = BPF_CORE_READ(vcpu, kvm, arch.exception_payload_enabled);
	bool faults = BPF_CORE_READ(vcpu, kvm, arch.triple_fault_event);

	e.pending = BPF_CORE_READ(vcpu, arch.exception.pending);
	e.injected = BPF_CORE_READ(vcpu, arch.exception.injected);
	i.injected = BPF_CORE_READ(vcpu, arch.interrupt.injected);
	i.soft = BPF_CORE_READ(vcpu, arch.interrupt.soft);
	*events = (struct nestmig_events){
		.exc_injected = e.injected || (e.pending && !payloads),
		.exc_pending = e.pending,
		.exc_nr = BPF_CORE_READ(vcpu, arch.exception.vector),
		.exc_has_error_code = BPF_CORE_READ(vcpu, arch.exception.has_error_code),
		.exc_error_code = BPF_CORE_READ(vcpu, arch.exception.error_code),
		.exc_has_payload = BPF_CORE_READ(vcpu, arch.exception.has_payload),
		.exc_payload = BPF_CORE_READ(vcpu, arch.exception.payload),
		.intr_injected = i.injected && !i.soft,
		.intr_nr = BPF_CORE_READ(vcpu, arch.interrupt.nr),
		.nmi_injected = BPF_CORE_READ(vcpu, arch.nmi_injected),
		.nmi_pending = BPF_CORE_READ(vcpu, arch.nmi_pending) != 0,
		.smi_smm = is_in_smm(vcpu, kernel),
		.smi_pending = BPF_CORE_READ(vcpu, arch.smi_pending),
		.flags = EVENT_NMI_PENDING | EVENT_SMM | (payloads ? EVENT_PAYLOAD : 0) |
			 (faults ? EVENT_TRIPLE_FAULT : 0),
	};
	v->vm_caps = (payloads ? NESTMIG_VM_EXCEPTION_PAYLOAD : 0) |
		     (faults ? NESTMIG_VM_TRIPLE_FAULT_EVENT : 0);
	v->have |= NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE);
	return 0;
}

ALWAYS_INLINE void use_events(struct nestmig_vcpu_view *v, const struct vcpu_events *from)
{
	v->events = (struct nestmig_events){
		.exc_injected = from->exc_injected,
		.exc_nr = from->exc_nr,
		.exc_has_error_code = from->exc_has_error_code,
		.exc_pending = from->exc_pending,
		.exc_error_code = from->exc_error_code,
		.intr_injected = from->intr_injected,
		.intr_nr = from->intr_nr,
		.intr_soft = from->intr_soft,
		.intr_shadow = from->intr_shadow,
		.nmi_injected = from->nmi_injected,
		.nmi_pending = from->nmi_pending,
		.nmi_masked = from->nmi_masked,
		.sipi_vector = from->sipi_vector,
		.flags = from->flags,
		.smi_smm = from->smi_smm,
		.smi_pending = from->smi_pending,
		.smi_inside_nmi = from->smi_inside_nmi,
		.smi_latched_init = from->smi_latched_init,
		.triple_fault = from->triple_fault,
		.exc_has_payload = from->exc_has_payload,
		.exc_payload = from->exc_payload,
	};
	v->have |= NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE);
	if (from->flags & EVENT_SHADOW)
		v->have |= NESTMIG_HAVE(INT_SHADOW);
	else
		v->have &= ~NESTMIG_HAVE(INT_SHADOW);
}

/* ---- The context ------------------------------------------------------------------------------ */

/* Everything is set by now, in the order that the rules take for granted where they ask for one. */
ALWAYS_INLINE void start_context(struct nestmig_ctx *ctx, const struct nm_guard_config *conf)
{
	ctx->h[0] = conf->host;
	__builtin_memset(&ctx->mem, 0, sizeof(ctx->mem));
	__builtin_memset(&ctx->vmx_mem, 0, sizeof(ctx->vmx_mem));
	ctx->sregs_first = ctx->regs_first = ctx->msrs_first = ctx->events_first = 1;
	ctx->no_nested = ctx->is_qemu = ctx->vmx_bare = ctx->svm_l2 = ctx->vmx_l2 = 0;
	ctx->events_before_sregs = ctx->mp_before_events = ctx->mp_before_nested = 0;
	ctx->vmx_msrs_late = ctx->regs_after_events = 0;
	ctx->v->have = 0;
	ctx->v->vendor = nm_vendor;
}

/* What both vendors have; before the vendor's part, which needs the CPUID. */
ALWAYS_INLINE void take_common(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu, uint32_t kernel,
			       uint8_t *page)
{
	take_cpuid(v, vcpu, page);
	take_events(v, vcpu, kernel);
	v->mp_state = BPF_CORE_READ(vcpu, arch.mp_state);
	v->smbase = BPF_CORE_READ(vcpu, arch.smbase);
	v->debugregs.dr6 = BPF_CORE_READ(vcpu, arch.dr6);
	v->debugregs.dr7 = BPF_CORE_READ(vcpu, arch.dr7);
	v->debugregs.flags = 0;
	__builtin_memset(v->debugregs.db, 0, sizeof(v->debugregs.db));
	v->have |= NESTMIG_HAVE(MP_STATE) | NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(DEBUGREGS);
}

#endif
