/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU of kvm_intel as rules see it (arch/x86/kvm/vmx/vmx.h and nested.c, 6.1). Segments and RFLAGS are in the
 * VMCS of the processor, which nobody else can read: rules that need them are unknown here.
 */
#ifndef NESTMIG_GUARD_VMX_BPF_H
#define NESTMIG_GUARD_VMX_BPF_H

#include "guard_view.bpf.h"
#include "../lib/vmcs/vmcs12.h"

/* A pair of 32-bit words that make a capability MSR. */
#define MSR_PAIR(low, high)                                                                        \
	(BPF_CORE_READ(vmx, nested.msrs.low) | (uint64_t)BPF_CORE_READ(vmx, nested.msrs.high) << 32)

/* As vmx_get_vmx_msr makes them. Of the controls the true ones, which KVM judges by. */
static __attribute__((noinline)) int vmx_take_msrs(struct nestmig_vcpu_view *v,
						   struct vcpu_vmx *vmx)
{
	uint64_t *value = v->vmx.value;

	v->vmx.have = (1 << NESTMIG_VMX_MSRS) - 1;
	v->vmx.have &= ~(1 << VMX_PIN | 1 << VMX_PROC | 1 << VMX_EXIT | 1 << VMX_ENTRY);
	value[VMX_BASIC] = BPF_CORE_READ(vmx, nested.msrs.basic);
	value[VMX_MISC] = MSR_PAIR(misc_low, misc_high);
	value[VMX_CR0_FIXED0] = BPF_CORE_READ(vmx, nested.msrs.cr0_fixed0);
	value[VMX_CR0_FIXED1] = BPF_CORE_READ(vmx, nested.msrs.cr0_fixed1);
	value[VMX_CR4_FIXED0] = BPF_CORE_READ(vmx, nested.msrs.cr4_fixed0);
	value[VMX_CR4_FIXED1] = BPF_CORE_READ(vmx, nested.msrs.cr4_fixed1);
	value[VMX_VMCS_ENUM] = BPF_CORE_READ(vmx, nested.msrs.vmcs_enum);
	value[VMX_PROC2] = MSR_PAIR(secondary_ctls_low, secondary_ctls_high);
	value[VMX_EPT_VPID_CAP] = MSR_PAIR(ept_caps, vpid_caps);
	value[VMX_TRUE_PIN] = MSR_PAIR(pinbased_ctls_low, pinbased_ctls_high);
	value[VMX_TRUE_PROC] = MSR_PAIR(procbased_ctls_low, procbased_ctls_high);
	value[VMX_TRUE_EXIT] = MSR_PAIR(exit_ctls_low, exit_ctls_high);
	value[VMX_TRUE_ENTRY] = MSR_PAIR(entry_ctls_low, entry_ctls_high);
	value[VMX_VMFUNC] = BPF_CORE_READ(vmx, nested.msrs.vmfunc_controls);
	v->have |= NESTMIG_HAVE(VMX_MSRS);
	return 0;
}

/* KVM's own copy of what KVM_SET_NESTED_STATE brought. */
ALWAYS_INLINE void vmx_take_nested(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;

	v->nested = (struct nestmig_nested){
		.flags = KVMNS_GUEST_MODE |
			 (BPF_CORE_READ(vmx, nested.nested_run_pending) ? KVMNS_RUN_PENDING : 0) |
			 (BPF_CORE_READ(vmx, nested.mtf_pending) ? KVMNS_MTF_PENDING : 0),
		.format = KVMNS_FORMAT_VMX,
		.size = KVMNS_HEADER_SIZE + 2 * KVMNS_VMCS_SIZE,
		.vmxon_pa = BPF_CORE_READ(vmx, nested.vmxon_ptr),
		.vmcs12_pa = BPF_CORE_READ(vmx, nested.current_vmptr),
	};
	v->nested.stored_flags = v->nested.flags;
	v->have |= NESTMIG_HAVE(NESTED);
	/* An enlightened VMCS is read from guest memory at each entry: what is cached may be old. */
	if (BPF_CORE_READ(vmx, nested.enlightened_vmcs_enabled))
		return;
	if (!bpf_probe_read_kernel(v->vmcs12, NESTMIG_VMCS12_READ,
				   BPF_CORE_READ(vmx, nested.cached_vmcs12)))
		v->have |= NESTMIG_HAVE(VMCS12);
}

#endif
