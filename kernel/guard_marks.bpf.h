/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ioctls have set of a vCPU in L2 (arch/x86/kvm/x86.c, 6.1), noted until a KVM_RUN has judged it. The programs
 * are at functions that only these ioctls and KVM_RUN with kvm_dirty_regs (sync_regs) reach, so that no other ioctl
 * pays for them. KVM refuses in KVM_SET_DEBUGREGS what rules on debug registers break: that marks nothing.
 */
#ifndef NESTMIG_GUARD_MARKS_BPF_H
#define NESTMIG_GUARD_MARKS_BPF_H

#include "guard_judge.bpf.h"

#define IOCTL_SET_MSRS   0x4008ae89 /* KVM_x, uapi linux/kvm.h */

#define IOCTL_SET_EVENTS 0x4040aea0

#define SYNC_EVENTS      0x4 /* KVM_SYNC_X86_EVENTS, uapi asm/kvm.h */

/* What is stuffed up to a generation is judged. What is stuffed meanwhile, see mark(), is not. */
ALWAYS_INLINE void let_run(struct kvm_vcpu *vcpu, struct nm_guard_vcpu *entry, uint32_t generation)
{
	uint32_t stuffed = __sync_lock_test_and_set(&entry->stuffed, 0);

	entry->is_checked = 0;
	if (!stuffed)
		return;
	if (entry->generation == generation || __sync_fetch_and_or(&entry->stuffed, stuffed))
		__sync_fetch_and_sub(unjudged(vcpu), 1);
}

/* vcpu->mutex is held, except for KVM_SET_MSRS. */
static __attribute__((noinline)) int mark(struct kvm_vcpu *vcpu, uint32_t kind)
{
	struct nm_guard_vcpu *entry;

	if (!is_in_l2(vcpu))
		return 0;
	entry = vcpu_entry(vcpu);
	if (!entry)
		return 0;
	if (!entry->in_l2)
		is_found_in_l2(entry);
	/* In this order: let_run() goes by the generation. */
	__sync_fetch_and_add(&entry->generation, 1);
	if (!__sync_fetch_and_or(&entry->stuffed, UINT32_C(1) << kind))
		__sync_fetch_and_add(unjudged(vcpu), 1);
	return 0;
}

/* ---- Registers ---------------------------------------------------------------------------------- */

/* Before they are set. KVM for Intel has the segments in its VMCS, see vmx_is_of_rsm(). */
static __attribute__((noinline)) int mark_sregs(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry;
	struct room *room;

	if (!vcpu || !is_in_l2(vcpu))
		return 0;
	entry = vcpu_entry(vcpu);
	if (!entry)
		return 0;
	if (nm_vendor == NESTMIG_VENDOR_AMD && !(entry->stuffed >> NM_GUARD_STUFFED_SREGS & 1)) {
		room = bpf_task_storage_get(&nm_room, bpf_get_current_task_btf(), 0,
					    BPF_LOCAL_STORAGE_GET_F_CREATE);
		entry->has_was =
			room &&
			!svm_read_sregs(&entry->was, vcpu,
					BPF_CORE_READ((struct vcpu_svm *)vcpu, vmcb), room->page);
	}
	return mark(vcpu, NM_GUARD_STUFFED_SREGS);
}

/*
 * EFER is one of them. KVM_SET_MSRS has no function on its own for it: the LSM program marks it before it is set, and
 * a KVM_RUN of another thread may judge in between. Here is what goes without LSM.
 */
SEC("fexit/kvm_arch_vcpu_ioctl")
int BPF_PROG(nm_guard_no_lsm_msrs, struct file *file, unsigned int cmd, unsigned long arg, long ret)
{
	return cmd == IOCTL_SET_MSRS ? mark(file->private_data, NM_GUARD_STUFFED_SREGS) : 0;
}

/* The first that KVM_SET_SREGS, KVM_SET_SREGS2 and sync_regs set (__set_sregs_common). */
SEC("fentry/kvm_set_apic_base")
int BPF_PROG(nm_guard_sregs, struct kvm_vcpu *vcpu, struct msr_data *msr)
{
	return msr->host_initiated ? mark_sregs(vcpu) : 0;
}

/* From 6.14 on. */
SEC("fentry/kvm_apic_set_base")
int BPF_PROG(nm_guard_sregs_newer, struct kvm_vcpu *vcpu, uint64_t value, bool host_initiated)
{
	return host_initiated ? mark_sregs(vcpu) : 0;
}

SEC("fexit/kvm_arch_vcpu_ioctl_set_regs")
int BPF_PROG(nm_guard_regs_done, struct kvm_vcpu *vcpu, struct kvm_regs *regs, int ret)
{
	return ret ? 0 : mark(vcpu, NM_GUARD_STUFFED_REGS);
}

/* ---- KVM_SET_NESTED_STATE ------------------------------------------------------------------------- */

SEC("fexit/svm_set_nested_state")
int BPF_PROG(nm_guard_svm_state_done, struct kvm_vcpu *vcpu, void *user, void *state, int ret)
{
	return ret ? 0 : mark(vcpu, NM_GUARD_STUFFED_NESTED);
}

SEC("fexit/vmx_set_nested_state")
int BPF_PROG(nm_guard_vmx_state_done, struct kvm_vcpu *vcpu, void *user, void *state, int ret)
{
	return ret ? 0 : mark(vcpu, NM_GUARD_STUFFED_NESTED);
}

/* ---- In KVM_RUN ---------------------------------------------------------------------------------- */

/*
 * Events from struct kvm_run, which any thread may change until KVM_RUN has taken them: KVM clears the bit when it
 * is done. The check before KVM_RUN has not seen them. Of registers the exit tells that the processor makes of them.
 */
static __attribute__((noinline)) int tell_synced(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry;

	if (!is_in_l2(vcpu) || !(BPF_CORE_READ(vcpu, run, kvm_dirty_regs) & SYNC_EVENTS))
		return 0;
	entry = vcpu_find(vcpu);
	if (entry)
		tell_held(vcpu, entry, NM_GUARD_RUN_UNJUDGED);
	return 0;
}

SEC("fexit/kvm_vcpu_ioctl_x86_set_vcpu_events")
int BPF_PROG(nm_guard_events_done_newer, struct kvm_vcpu *vcpu, struct kvm_vcpu_events *events,
	     int ret)
{
	if (ret)
		return 0;
	mark(vcpu, NM_GUARD_STUFFED_EVENTS);
	return tell_synced(vcpu);
}

/* Where that function is part of its caller: what sync_regs takes is not seen then. */
SEC("fexit/kvm_arch_vcpu_ioctl")
int BPF_PROG(nm_guard_events_done, struct file *file, unsigned int cmd, unsigned long arg, long ret)
{
	return ret || cmd != IOCTL_SET_EVENTS ? 0
					      : mark(file->private_data, NM_GUARD_STUFFED_EVENTS);
}

#endif
