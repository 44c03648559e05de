/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU of kvm_intel as rules see it (arch/x86/kvm/vmx/vmx.h and nested.c, 6.1).
 *
 * Most of L2's registers are in the hardware's VMCS, which cannot be read here: general registers, RFLAGS and
 * control registers are known where KVM has them cached, segments where they have been set since the processor
 * last ran this vCPU. After KVM_SET_NESTED_STATE, L2's state is what the VMCS12 says until something else is set.
 */
#ifndef NESTMIG_GUARD_VMX_BPF_H
#define NESTMIG_GUARD_VMX_BPF_H

#include "guard_view.bpf.h"
#include "../lib/vmcs/vmcs12.h"

#define SEGMENTS 8 /* VCPU_SREG_ES to VCPU_SREG_LDTR (arch/x86/include/asm/kvm_host.h) */

/* One vCPU; what is said as of a time counts until the processor has run the vCPU: arch.stat.exits. */
struct vmx_entry {
	uint64_t segments_at, loaded_at, rsm_at, switched_at; /* exits + 1; 0: never */
	uint32_t set;                                         /* bit n: segment n */
	uint64_t eptp;                                        /* that VMFUNC has switched to */
	struct nestmig_segment segments[SEGMENTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint64_t);
	__type(value, struct vmx_entry);
} nm_vmx_vcpus SEC(".maps");

static const struct vmx_entry new_vmx_entry;

ALWAYS_INLINE struct vmx_entry *vmx_find(struct kvm_vcpu *vcpu)
{
	uint64_t key = (uint64_t)vcpu;

	return bpf_map_lookup_elem(&nm_vmx_vcpus, &key);
}

static __attribute__((noinline)) struct vmx_entry *vmx_entry(struct kvm_vcpu *vcpu)
{
	struct vmx_entry *entry = vmx_find(vcpu);
	uint64_t key = (uint64_t)vcpu;

	if (entry)
		return entry;
	if (bpf_map_update_elem(&nm_vmx_vcpus, &key, &new_vmx_entry, BPF_NOEXIST))
		count(NM_GUARD_NO_ENTRY);
	return vmx_find(vcpu);
}

ALWAYS_INLINE uint64_t vmx_now(struct kvm_vcpu *vcpu)
{
	return BPF_CORE_READ(vcpu, stat.exits) + 1;
}

/* ---- Registers ---------------------------------------------------------------------------------- */

/* Of registers, by name: those that are not only in the VMCS. */
#define CACHED(name)                                                                               \
	(bpf_core_enum_value_exists(enum kvm_reg, name) &&                                         \
	 (avail >> bpf_core_enum_value(enum kvm_reg, name) & 1))

ALWAYS_INLINE bool vmx_is_emulated(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct vcpu_vmx___newer *newer = (void *)vcpu;

	if (bpf_core_field_exists(vmx->emulation_required))
		return BPF_CORE_READ(vmx, emulation_required);
	if (bpf_core_field_exists(newer->vt.emulation_required))
		return BPF_CORE_READ(newer, vt.emulation_required);
	return false;
}

/*
 * The time that what was set has to be of. An L2 that KVM would have to emulate has not run, but the attempt counts
 * as an exit (vmx_vcpu_run and vcpu_enter_guest, 6.1).
 */
static __attribute__((noinline)) uint64_t vmx_set_at(struct kvm_vcpu *vcpu)
{
	struct vmx_entry *entry = vmx_find(vcpu);
	uint64_t now = vmx_now(vcpu);

	if (entry && entry->segments_at != now && entry->loaded_at != now && vmx_is_emulated(vcpu))
		return now - 1;
	return now;
}

static __attribute__((noinline)) int vmx_take_segments(struct nestmig_sregs *sregs,
						       const struct vmx_entry *entry)
{
	sregs->es = entry->segments[0];
	sregs->cs = entry->segments[1];
	sregs->ss = entry->segments[2];
	sregs->ds = entry->segments[3];
	sregs->fs = entry->segments[4];
	sregs->gs = entry->segments[5];
	sregs->tr = entry->segments[6];
	sregs->ldt = entry->segments[7];
	/* No rule on L2 reads them. */
	__builtin_memset(&sregs->gdt, 0, sizeof(sregs->gdt));
	__builtin_memset(&sregs->idt, 0, sizeof(sregs->idt));
	return 0;
}

/* L2's, or L1's outside guest mode. */
static __attribute__((noinline)) int vmx_take_registers(struct nestmig_ctx *ctx,
							struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	uint32_t avail = BPF_CORE_READ(vcpu, arch.regs_avail);
	struct nestmig_vcpu_view *v = ctx->v;
	struct vmx_entry *entry;

	if (CACHED(VCPU_REGS_RSP) && CACHED(VCPU_REGS_RIP) && CACHED(VCPU_EXREG_RFLAGS))
		take_regs(v, vcpu, BPF_CORE_READ(vmx, rflags));
	entry = vmx_find(vcpu);
	if (!entry || entry->segments_at != vmx_set_at(vcpu) || entry->set != (1 << SEGMENTS) - 1 ||
	    !CACHED(VCPU_EXREG_CR0) || !CACHED(VCPU_EXREG_CR3) || !CACHED(VCPU_EXREG_CR4))
		return 0;
	take_control_registers(&v->sregs, vcpu);
	vmx_take_segments(&v->sregs, entry);
	v->have |= NESTMIG_HAVE(SREGS);
	return 0;
}

/* ---- Capabilities -------------------------------------------------------------------------------- */

#define VMX_MSR(name)       BPF_CORE_READ(vmx, nested.msrs.name)
#define VMX_PAIR(low, high) (VMX_MSR(low) | (uint64_t)VMX_MSR(high) << 32)

/* The vCPU's own VMX capability MSRs, as vmx_get_vmx_msr makes them; of the controls the true ones, which KVM judges
 * by. */
static __attribute__((noinline)) int vmx_take_msrs(struct nestmig_vcpu_view *v,
						   struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	uint64_t *value = v->vmx.value;

	value[VMX_BASIC] = VMX_MSR(basic);
	value[VMX_TRUE_PIN] = VMX_PAIR(pinbased_ctls_low, pinbased_ctls_high);
	value[VMX_TRUE_PROC] = VMX_PAIR(procbased_ctls_low, procbased_ctls_high);
	value[VMX_TRUE_EXIT] = VMX_PAIR(exit_ctls_low, exit_ctls_high);
	value[VMX_TRUE_ENTRY] = VMX_PAIR(entry_ctls_low, entry_ctls_high);
	value[VMX_MISC] = VMX_PAIR(misc_low, misc_high);
	value[VMX_CR0_FIXED0] = VMX_MSR(cr0_fixed0);
	value[VMX_CR0_FIXED1] = VMX_MSR(cr0_fixed1);
	value[VMX_CR4_FIXED0] = VMX_MSR(cr4_fixed0);
	value[VMX_CR4_FIXED1] = VMX_MSR(cr4_fixed1);
	value[VMX_VMCS_ENUM] = VMX_MSR(vmcs_enum);
	value[VMX_PROC2] = VMX_PAIR(secondary_ctls_low, secondary_ctls_high);
	value[VMX_EPT_VPID_CAP] = VMX_PAIR(ept_caps, vpid_caps);
	value[VMX_VMFUNC] = VMX_MSR(vmfunc_controls);
	v->vmx.have = (UINT32_C(1) << NESTMIG_VMX_MSRS) - 1;
	v->vmx.have &= ~(1 << VMX_PIN | 1 << VMX_PROC | 1 << VMX_EXIT | 1 << VMX_ENTRY);
	v->msrs_listed = 0;
	v->have |= NESTMIG_HAVE(VMX_MSRS);
	return 0;
}

/* ---- Nested state ------------------------------------------------------------------------------- */

ALWAYS_INLINE uint16_t vmx_flags(struct vcpu_vmx *vmx)
{
	uint16_t flags = 0;

	if (is_in_l2(&vmx->vcpu)) {
		flags |= KVMNS_GUEST_MODE;
		if (is_run_pending(&vmx->vcpu))
			flags |= KVMNS_RUN_PENDING;
		if (BPF_CORE_READ(vmx, nested.mtf_pending))
			flags |= KVMNS_MTF_PENDING;
	}
	return flags;
}

/* KVM's own copy of what KVM_SET_NESTED_STATE brought or L1 has loaded (vmx_get_nested_state). */
static __attribute__((noinline)) int vmx_take_nested(struct nestmig_ctx *ctx, struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct nestmig_vcpu_view *v = ctx->v;
	bool timed = BPF_CORE_READ(vmx, nested.has_preemption_timer_deadline);
	bool on = BPF_CORE_READ(vmx, nested.vmxon) || BPF_CORE_READ(vmx, nested.smm.vmxon);

	v->nested = (struct nestmig_nested){
		.flags = vmx_flags(vmx),
		.format = KVMNS_FORMAT_VMX,
		.size = KVMNS_HEADER_SIZE + 2 * KVMNS_VMCS_SIZE,
		.vmxon_pa = on ? BPF_CORE_READ(vmx, nested.vmxon_ptr) : UINT64_MAX,
		.vmcs12_pa = on ? BPF_CORE_READ(vmx, nested.current_vmptr) : UINT64_MAX,
		.vmx_flags = timed ? VMX_DEADLINE : 0,
		.preemption_deadline = BPF_CORE_READ(vmx, nested.preemption_timer_deadline),
		.vmx_smm_flags =
			(BPF_CORE_READ(vmx, nested.smm.vmxon) ? VMX_SMM_VMXON : 0) |
			(BPF_CORE_READ(vmx, nested.smm.guest_mode) ? VMX_SMM_GUEST_MODE : 0),
	};
	v->nested.stored_flags = v->nested.flags;
	v->have |= NESTMIG_HAVE(NESTED);
	ctx->vmx_l2 = !!(v->nested.flags & KVMNS_GUEST_MODE);
	/* An enlightened VMCS is read from guest memory at each entry: what is cached may be old. */
	if (bpf_core_field_exists(vmx->nested.enlightened_vmcs_enabled) &&
	    BPF_CORE_READ(vmx, nested.enlightened_vmcs_enabled))
		return 0;
	if (!bpf_probe_read_kernel(v->vmcs12, NESTMIG_VMCS12_READ,
				   BPF_CORE_READ(vmx, nested.cached_vmcs12)))
		v->have |= NESTMIG_HAVE(VMCS12);
	if (!bpf_probe_read_kernel(v->shadow_vmcs12, NESTMIG_VMCS12_READ,
				   BPF_CORE_READ(vmx, nested.cached_shadow_vmcs12)))
		v->have |= NESTMIG_HAVE(SHADOW_VMCS12);
	return 0;
}

/* Where L2's registers were: in the VMCS12 if nothing else was set after that was loaded. */
ALWAYS_INLINE void vmx_order(struct nestmig_ctx *ctx, struct kvm_vcpu *vcpu, uint64_t at)
{
	struct vmx_entry *entry = vmx_find(vcpu);

	if (!ctx->vmx_l2)
		return;
	ctx->regs_first = ctx->events_first = 0;
	ctx->sregs_first = entry && entry->loaded_at == at && entry->segments_at != at;
}

ALWAYS_INLINE void vmx_take(struct nestmig_ctx *ctx, struct kvm_vcpu *vcpu, bool nested)
{
	vmx_take_registers(ctx, vcpu);
	vmx_take_msrs(ctx->v, vcpu);
	if (!nested)
		return;
	vmx_take_nested(ctx, vcpu);
	vmx_order(ctx, vcpu, vmx_set_at(vcpu));
}

/* What RSM has loaded is not denied. */
ALWAYS_INLINE bool vmx_is_of_rsm(struct kvm_vcpu *vcpu)
{
	struct vmx_entry *entry = vmx_find(vcpu);

	return entry && entry->rsm_at == vmx_now(vcpu);
}

#endif
