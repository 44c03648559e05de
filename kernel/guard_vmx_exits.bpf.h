/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kvm_intel does with nested state, entries, exits, RSM and VM functions (arch/x86/kvm/vmx/nested.c and vmx.c,
 * 6.1). Nothing is denied here.
 *
 * What L1 is to see (SDM volume 3, "VM-Entry Failures During or After Loading Guest State", "VM Functions"): of a
 * VM entry that fails late an exit with bit 31 of the reason set, of one that fails early a VM-instruction error; of
 * VMFUNC with an entry that a VM entry would refuse, exit 59; of one that leads to no memory, nothing before the
 * next access of L2, which is EPT violation 48.
 */
#ifndef NESTMIG_GUARD_VMX_EXITS_BPF_H
#define NESTMIG_GUARD_VMX_EXITS_BPF_H

#include "guard_judge.bpf.h"

#define REASON_TRIPLE_FAULT  2
#define REASON_EPT_VIOLATION 48
#define REASON_VMFUNC        59
#define REASON_FAILED_ENTRY  UINT32_C(0x80000000)
#define NO_EXIT              UINT32_MAX

#define ENTRY_SUCCEEDS       0 /* enum nvmx_vmentry_status */
#define ENTRY_EXITS          2

#define ERROR_CONTROLS       7 /* VM-instruction errors, SDM volume 3 */
#define ERROR_HOST_STATE     8

/* ---- What is set -------------------------------------------------------------------------------- */

/* By KVM_SET_SREGS and KVM_SET_SREGS2, and by the emulator. */
SEC("fentry/vmx_set_segment")
int BPF_PROG(nm_guard_vmx_segment, struct kvm_vcpu *vcpu, struct kvm_segment *from, int number)
{
	uint32_t index = number;
	struct nestmig_segment *to;
	struct vmx_entry *entry;
	uint64_t now;

	if (!is_in_l2(vcpu))
		return 0;
	entry = vmx_entry(vcpu);
	if (!entry)
		return 0;
	now = vmx_now(vcpu);
	if (entry->segments_at != now)
		entry->set = 0;
	entry->segments_at = now;
	/* The verifier has to see the register that is compared. */
	barrier_var(index);
	if (index >= SEGMENTS)
		return 0;
	entry->set |= UINT32_C(1) << index;
	to = &entry->segments[index];
	to->base = from->base;
	to->limit = from->limit;
	to->selector = from->selector;
	to->type = from->type;
	to->present = from->present;
	to->dpl = from->dpl;
	to->db = from->db;
	to->s = from->s;
	to->l = from->l;
	to->g = from->g;
	to->avl = from->avl;
	/* vmx_segment_access_rights. */
	to->unusable = from->unusable || !from->present;
	return 0;
}

SEC("fentry/vmx_vcpu_free")
int BPF_PROG(nm_guard_vmx_vcpu_gone, struct kvm_vcpu *vcpu)
{
	uint64_t key = (uint64_t)vcpu;

	bpf_map_delete_elem(&nm_vmx_vcpus, &key);
	return 0;
}

/* L2's registers are those of the VMCS12 now. */
ALWAYS_INLINE void vmx_is_loaded(struct vmx_entry *entry, struct kvm_vcpu *vcpu)
{
	entry->loaded_at = vmx_now(vcpu);
	entry->segments_at = 0;
}

/* ---- Entries ------------------------------------------------------------------------------------ */

/* L1's VMCS12, as L1 has it when a VM entry of it has failed; in guest mode it is the processor that refused it. */
static __attribute__((noinline)) int vmx_tell_failure(struct kvm_vcpu *vcpu, uint64_t reason,
						      uint64_t qualification)
{
	struct nm_guard_config *conf = config();
	struct room *room;

	if (!conf)
		return 0;
	count(NM_GUARD_FAILED_ENTRIES);
	room = open_room(conf, vcpu, NM_GUARD_ENTRY_FAILED, 0);
	if (!room)
		return 0;
	take_vcpu(room, true);
	vmx_order(&room->record.judged.ctx, vcpu, vmx_now(vcpu) - 1);
	room->record.judged.ctx.regs_first = room->record.judged.ctx.sregs_first;
	room->record.event.exit_code = reason;
	room->record.event.exit_info[0] = qualification;
	room->record.event.flags = NM_GUARD_FAILED;
	return tell(room, vcpu_entry(vcpu));
}

SEC("fexit/nested_vmx_enter_non_root_mode")
int BPF_PROG(nm_guard_vmx_entered, struct kvm_vcpu *vcpu, bool from_vmentry, int ret)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct nm_guard_vcpu *entry;
	struct vmx_entry *loaded;
	struct {
		uint32_t reason;
		uint32_t pad;
		uint64_t qualification;
	} exit = {0};
	const char *vmcs12;

	if (ret == ENTRY_SUCCEEDS) {
		count(NM_GUARD_NESTED_ENTRIES);
		entry = vcpu_entry(vcpu);
		if (entry)
			enter_l2(entry);
		loaded = vmx_entry(vcpu);
		if (loaded)
			vmx_is_loaded(loaded, vcpu);
		return 0;
	}
	if (ret != ENTRY_EXITS || !from_vmentry)
		return 0;
	vmcs12 = (const char *)BPF_CORE_READ(vmx, nested.cached_vmcs12);
	bpf_probe_read_kernel(&exit.reason, sizeof(exit.reason),
			      vmcs12 + VMCS12_OFFSET_vm_exit_reason);
	bpf_probe_read_kernel(&exit.qualification, sizeof(exit.qualification),
			      vmcs12 + VMCS12_OFFSET_exit_qualification);
	return vmx_tell_failure(vcpu, exit.reason, exit.qualification);
}

/* Not an exit: VMLAUNCH or VMRESUME goes on after itself, with an error number. */
SEC("fentry/nested_vmx_fail")
int BPF_PROG(nm_guard_vmx_refused, struct kvm_vcpu *vcpu, uint32_t error)
{
	if (error != ERROR_CONTROLS && error != ERROR_HOST_STATE)
		return 0;
	return vmx_tell_failure(vcpu, error, 0);
}

/* ---- Exits -------------------------------------------------------------------------------------- */

/* The triple fault that KVM makes of a root that is no memory. */
static __attribute__((noinline)) int vmx_tell_switched(struct kvm_vcpu *vcpu, uint64_t eptp)
{
	struct nm_guard_event event = {.hook = NM_GUARD_EPTP_SWITCHED,
				       .flags = NM_GUARD_OTHER_EXIT,
				       .exit_code = REASON_TRIPLE_FAULT,
				       .exit_info[0] = eptp,
				       .exit_info[1] = REASON_EPT_VIOLATION};

	count(NM_GUARD_MADE_UP_EXITS);
	if (is_run_pending(vcpu))
		event.flags |= NM_GUARD_PENDING;
	tell_exit(vcpu, vcpu_find(vcpu), &event);
	return 0;
}

/* A triple fault that KVM delivers, straight after VMFUNC for that. */
SEC("fentry/nested_vmx_triple_fault")
int BPF_PROG(nm_guard_vmx_triple_fault, struct kvm_vcpu *vcpu)
{
	struct vmx_entry *entry = vmx_find(vcpu);

	if (entry && entry->switched_at == vmx_now(vcpu))
		return vmx_tell_switched(vcpu, entry->eptp);
	return tell_triple_fault(vcpu, REASON_TRIPLE_FAULT, 0);
}

/* VMFUNC that fails: what L2 asked for, and what L1 sees, which is as it should be. */
static __attribute__((noinline)) int vmx_tell_vmfunc(struct kvm_vcpu *vcpu)
{
	struct nm_guard_event event = {.hook = NM_GUARD_EPTP_SWITCHED,
				       .flags = NM_GUARD_FAILED,
				       .exit_code = REASON_VMFUNC,
				       .exit_info[1] = REASON_VMFUNC};

	event.exit_info[0] = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RCX]);
	tell_exit(vcpu, vcpu_find(vcpu), &event);
	return 0;
}

/* Events have functions of their own: there is no stack for one beside a context. */
ALWAYS_INLINE int vmx_exits(struct kvm_vcpu *vcpu, uint32_t reason, uint64_t qualification)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);

	/* An SMI, or vmx_leave_nested: L2 goes with its vCPU, or by an ioctl. */
	if (reason == NO_EXIT) {
		if (entry)
			is_out_of_l2(entry);
		return 0;
	}
	count(NM_GUARD_NESTED_EXITS);
	if (entry)
		leave_l2(entry);
	if (reason == REASON_VMFUNC)
		return vmx_tell_vmfunc(vcpu);
	if (reason & REASON_FAILED_ENTRY)
		return vmx_tell_failure(vcpu, reason, qualification);
	/* A triple fault of L2's own is none of KVM's. */
	if (reason == REASON_TRIPLE_FAULT && vmx_is_emulated(vcpu))
		return tell_triple_fault(vcpu, REASON_TRIPLE_FAULT, NM_GUARD_EMULATION);
	return 0;
}

SEC("fentry/nested_vmx_vmexit")
int BPF_PROG(nm_guard_vmx_exited, struct kvm_vcpu *vcpu, uint32_t reason, uint32_t info,
	     unsigned long qualification)
{
	return vmx_exits(vcpu, reason, qualification);
}

/* From 6.15 on, with the length of the instruction. */
SEC("fentry/__nested_vmx_vmexit")
int BPF_PROG(nm_guard_vmx_exited_newer, struct kvm_vcpu *vcpu, uint32_t reason, uint32_t info,
	     unsigned long qualification)
{
	return vmx_exits(vcpu, reason, qualification);
}

/* ---- VM functions ------------------------------------------------------------------------------- */

SEC("fexit/handle_vmfunc")
int BPF_PROG(nm_guard_vmx_vmfunc_done, struct kvm_vcpu *vcpu, int ret)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct vmx_entry *entry;
	const char *vmcs12;

	if (!is_in_l2(vcpu))
		return 0;
	entry = vmx_entry(vcpu);
	if (!entry)
		return 0;
	vmcs12 = (const char *)BPF_CORE_READ(vmx, nested.cached_vmcs12);
	bpf_probe_read_kernel(&entry->eptp, sizeof(entry->eptp),
			      vmcs12 + VMCS12_OFFSET_ept_pointer);
	entry->switched_at = vmx_now(vcpu);
	return 0;
}

/* ---- SMM ---------------------------------------------------------------------------------------- */

/* The SMRAM image of a vCPU that was in VMX operation when the SMI came, before RSM loads it. */
SEC("fentry/vmx_leave_smm")
int BPF_PROG(nm_guard_vmx_smm_left, struct kvm_vcpu *vcpu, const char *smram)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;
	struct vmx_entry *entry;

	leave_smm(vcpu);
	if (!BPF_CORE_READ(vmx, nested.smm.vmxon))
		return 0;
	entry = vmx_entry(vcpu);
	if (entry)
		entry->rsm_at = vmx_now(vcpu);
	return tell_smram(vcpu, smram, NM_GUARD_SMM_LEFT, 0);
}

/* The image is complete by now (enter_smm), guest memory gets it next. */
SEC("fexit/vmx_enter_smm")
int BPF_PROG(nm_guard_vmx_smm_entered, struct kvm_vcpu *vcpu, const char *smram, int ret)
{
	struct vcpu_vmx *vmx = (struct vcpu_vmx *)vcpu;

	enter_smm(vcpu);
	if (!BPF_CORE_READ(vmx, nested.smm.guest_mode))
		return 0;
	return tell_smram(vcpu, smram, NM_GUARD_SMM_ENTERED, ret);
}

#endif
