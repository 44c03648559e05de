/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kvm_intel's nested entries and exits, RSM and VMFUNC (arch/x86/kvm/vmx/nested.c and vmx.c, 6.1). Nothing is
 * denied here. */
#ifndef NESTMIG_GUARD_VMX_EXITS_BPF_H
#define NESTMIG_GUARD_VMX_EXITS_BPF_H

#include "guard_judge.bpf.h"

#define REASON_TRIPLE_FAULT 2
#define REASON_VMFUNC       59
#define REASON_FAILED_ENTRY UINT32_C(0x80000000)
#define REGISTER_RAX        0 /* enum kvm_reg */
#define REGISTER_RCX        1

/* VM-instruction errors of VMLAUNCH and VMRESUME that go by the VMCS: SDM volume 3, "VM Instruction Error Numbers".
 */
#define ERROR_CONTROLS   7
#define ERROR_HOST_STATE 8

SEC("fexit/nested_vmx_enter_non_root_mode")
int BPF_PROG(nm_guard_vmx_entered, struct kvm_vcpu *vcpu, bool from_vmentry, int ret)
{
	struct nm_guard_vcpu *entry;

	if (ret)
		return 0;
	count(NM_GUARD_NESTED_ENTRIES);
	entry = vcpu_entry(vcpu);
	if (entry)
		enter_l2(entry);
	return 0;
}

/* VMfail: L1's VMCS12 is what KVM has cached. */
SEC("fentry/nested_vmx_fail")
int BPF_PROG(nm_guard_vmx_failed, struct kvm_vcpu *vcpu, uint32_t error)
{
	struct nm_guard_config *conf = config();
	struct room *room;

	if (!conf || (error != ERROR_CONTROLS && error != ERROR_HOST_STATE))
		return 0;
	count(NM_GUARD_FAILED_ENTRIES);
	room = open_room(conf, vcpu, NM_GUARD_ENTRY_FAILED, 0);
	if (!room)
		return 0;
	take_vcpu(room, true);
	room->record.event.result = error;
	room->record.event.flags = NM_GUARD_FAILED;
	tell(room, vcpu_find(vcpu));
	return 0;
}

/* A triple fault that KVM delivers to L1. */
SEC("fentry/nested_vmx_triple_fault")
int BPF_PROG(nm_guard_vmx_triple_fault, struct kvm_vcpu *vcpu)
{
	struct nm_guard_event event = {.hook = NM_GUARD_NESTED_EXIT,
				       .exit_code = REASON_TRIPLE_FAULT};
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;

	count(NM_GUARD_MADE_UP_EXITS);
	if (BPF_CORE_READ(vmx, nested.nested_run_pending))
		event.flags |= NM_GUARD_PENDING;
	tell_exit(vcpu, vcpu_find(vcpu), &event);
	return 0;
}

/*
 * Told: the triple fault that an L2 gets whose state KVM would have to emulate, exits that are failed entries, and
 * VM functions that L1 sees as such (EPTP switching: RAX is 0, RCX the index in the list).
 */
SEC("fentry/nested_vmx_vmexit")
int BPF_PROG(nm_guard_vmx_exited, struct kvm_vcpu *vcpu, uint32_t reason, uint32_t intr_info,
	     unsigned long qualification)
{
	struct nm_guard_event event = {.exit_code = reason,
				       .exit_info = {qualification, intr_info}};
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);

	count(NM_GUARD_NESTED_EXITS);
	if (entry)
		leave_l2(entry);
	if (reason == REASON_VMFUNC) {
		event.hook = NM_GUARD_EPTP_SWITCHED;
		event.exit_info[0] = BPF_CORE_READ(vcpu, arch.regs[REGISTER_RAX]);
		event.exit_info[1] = BPF_CORE_READ(vcpu, arch.regs[REGISTER_RCX]);
	} else if (reason & REASON_FAILED_ENTRY) {
		event.hook = NM_GUARD_ENTRY_FAILED;
		count(NM_GUARD_FAILED_ENTRIES);
	} else if (reason == REASON_TRIPLE_FAULT && BPF_CORE_READ(vmx, emulation_required)) {
		event.hook = NM_GUARD_NESTED_EXIT;
		event.flags = NM_GUARD_EMULATION;
		count(NM_GUARD_MADE_UP_EXITS);
	} else {
		return 0;
	}
	if (BPF_CORE_READ(vmx, nested.nested_run_pending))
		event.flags |= NM_GUARD_PENDING;
	tell_exit(vcpu, entry, &event);
	return 0;
}

/* The SMRAM image of a vCPU that was in VMX operation when the SMI came: as RSM loads it. */
SEC("fexit/vmx_leave_smm")
int BPF_PROG(nm_guard_vmx_smm_left, struct kvm_vcpu *vcpu, const char *smram, int ret)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;

	if (!BPF_CORE_READ(vmx, nested.vmxon))
		return 0;
	tell_smram(vcpu, smram, ret);
	return 0;
}

#endif
