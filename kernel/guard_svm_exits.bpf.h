/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_amd's nested entries and exits, and RSM (arch/x86/kvm/svm/nested.c and svm.c, 6.1). Nothing is denied here.
 *
 * What L1 is to see of a VMRUN that fails: exit code VMEXIT_INVALID, -1 in 64 bits, no exit information, and GIF
 * clear as after each #VMEXIT (APM volume 2, "Canonicalization and Consistency Checks" and "#VMEXIT").
 */
#ifndef NESTMIG_GUARD_SVM_EXITS_BPF_H
#define NESTMIG_GUARD_SVM_EXITS_BPF_H

#include "guard_judge.bpf.h"

#define EXIT_ERR UINT32_C(0xffffffff)

#define V_GIF    (1 << 9) /* int_ctl */
#define HF_GIF   (1 << 0) /* of arch.hflags before 6.4 */

/* In the SMRAM image: L2 was active when the SMI came (svm_enter_smm). */
#define SMRAM_SVM_GUEST (0xfed8 - NESTMIG_SMRAM_BASE)

/* In L1. */
ALWAYS_INLINE bool gif_is_set(struct vcpu_svm *svm)
{
	struct vcpu_svm___guest_gif *newer = (void *)svm;
	uint32_t int_ctl = BPF_CORE_READ(svm, vmcb01.ptr, control.int_ctl);

	if (int_ctl & VMCB12_V_GIF_ENABLE)
		return int_ctl & V_GIF;
	if (bpf_core_field_exists(newer->guest_gif))
		return BPF_CORE_READ(newer, guest_gif);
	return BPF_CORE_READ(svm, vcpu.arch.hflags) & HF_GIF;
}

/* ---- Entries ------------------------------------------------------------------------------------ */

/* L2 is entered, by VMRUN or RSM. */
ALWAYS_INLINE void svm_entered(struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_entry(vcpu);

	count(NM_GUARD_NESTED_ENTRIES);
	if (entry)
		enter_l2(entry);
}

/*
 * A VMRUN that KVM refuses before it enters guest mode: there is no exit then, KVM writes to L1's VMCB12 only. What
 * it has read of that VMCB12 are nested.ctl and nested.save; of L2's segments only CS, in newer kernels.
 */
SEC("fexit/nested_svm_vmrun")
int BPF_PROG(nm_guard_svm_vmrun_done, struct kvm_vcpu *vcpu, int ret)
{
	struct vcpu_svm *svm = (struct vcpu_svm *)vcpu;
	struct nm_guard_config *conf;
	struct nm_guard_vcpu *entry;
	struct nestmig_sregs *sregs;
	struct room *room;

	/* Typed arguments are read by plain loads here: each BPF_CORE_READ is a call. */
	if (vcpu->stat.guest_mode) {
		svm_entered(vcpu);
		return 0;
	}
	conf = config();
	/* An exception instead: VMRUN itself was not allowed. */
	if (!conf || BPF_CORE_READ(vcpu, arch.exception.pending))
		return 0;
	count(NM_GUARD_FAILED_ENTRIES);
	entry = vcpu_entry(vcpu);
	if (entry && entry->exit_is_told) {
		entry->exit_is_told = 0;
		return 0;
	}
	room = open_room(conf, vcpu, NM_GUARD_ENTRY_FAILED, 0);
	if (!room)
		return 0;
	take_vcpu(room, true);
	sregs = &room->record.judged.ctx.v->sregs;
	sregs->cr0 = BPF_CORE_READ(svm, nested.save.cr0);
	sregs->cr3 = BPF_CORE_READ(svm, nested.save.cr3);
	sregs->cr4 = BPF_CORE_READ(svm, nested.save.cr4);
	sregs->efer = BPF_CORE_READ(svm, nested.save.efer);
	room->record.judged.ctx.v->debugregs.dr6 = BPF_CORE_READ(svm, nested.save.dr6);
	room->record.judged.ctx.v->debugregs.dr7 = BPF_CORE_READ(svm, nested.save.dr7);
	/* KVM has its address only in guest mode: VMRUN's operand is RAX. */
	room->record.judged.ctx.v->nested.vmcb_pa = room->record.judged.ctx.v->regs.rax;
	room->record.event.exit_code = EXIT_ERR;
	room->record.event.flags = NM_GUARD_FAILED | (gif_is_set(svm) ? NM_GUARD_GIF_SET : 0);
	note_exit(entry, EXIT_ERR, bpf_ktime_get_ns());
	tell(room, entry);
	return 0;
}

/* ---- Exits -------------------------------------------------------------------------------------- */

/* A triple fault that KVM delivers: L1 sees SHUTDOWN, if it intercepts that. */
SEC("fentry/nested_svm_triple_fault")
int BPF_PROG(nm_guard_svm_triple_fault, struct kvm_vcpu *vcpu)
{
	return tell_triple_fault(vcpu, EXIT_SHUTDOWN, 0);
}

/*
 * What has been stuffed since KVM_RUN was judged, and is no state of L2 that a processor takes: the registers are
 * still in vmcb02. Of events nothing is left.
 */
static __attribute__((noinline)) int svm_tell_stuffed(struct kvm_vcpu *vcpu, struct vmcb *vmcb02,
						      const struct nm_guard_vcpu *entry)
{
	struct nm_guard_config *conf = config();
	struct nestmig_vcpu_view *v;
	struct room *room;

	if (!conf)
		return 0;
	room = open_room(conf, vcpu, NM_GUARD_RUN_UNJUDGED, IOCTL_RUN);
	if (!room)
		return 0;
	count(NM_GUARD_RACES);
	take_vcpu(room, true);
	v = room->record.judged.ctx.v;
	if (!svm_read_sregs(&v->sregs, vcpu, vmcb02, room->page)) {
		v->sregs.cr0 = vmcb12_save_cr0(room->page);
		v->sregs.cr3 = vmcb12_save_cr3(room->page);
		v->sregs.cr4 = vmcb12_save_cr4(room->page);
		v->sregs.efer = vmcb12_save_efer(room->page);
		v->debugregs.dr6 = vmcb12_save_dr6(room->page);
		v->debugregs.dr7 = vmcb12_save_dr7(room->page);
	}
	return tell(room, entry);
}

/* What L1 gets stands in vmcb02 still; GIF is as L1 goes on with it. */
SEC("fexit/nested_svm_vmexit")
int BPF_PROG(nm_guard_svm_exited, struct vcpu_svm *svm, int ret)
{
	struct nm_guard_event event = {.hook = NM_GUARD_NESTED_EXIT, .result = ret};
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)svm;
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);
	struct vmcb *vmcb02 = svm->nested.vmcb02.ptr;
	/* Else it is still in VMRUN: KVM makes the exit up. */
	bool has_run = entry && entry->in_l2;
	uint32_t high;

	count(NM_GUARD_NESTED_EXITS);
	if (entry)
		leave_l2(entry);
	if (vmcb02->control.exit_code != EXIT_ERR)
		return 0;
	count(NM_GUARD_MADE_UP_EXITS);
	high = BPF_CORE_READ(vmcb02, control.exit_code_hi);
	event.exit_code = EXIT_ERR | (uint64_t)high << 32;
	event.exit_info[0] = BPF_CORE_READ(vmcb02, control.exit_info_1);
	event.exit_info[1] = BPF_CORE_READ(vmcb02, control.exit_info_2);
	/* What the processor has written is not this kernel's. */
	if (!has_run && high != EXIT_ERR)
		event.flags |= NM_GUARD_HIGH_HALF;
	if (!has_run && (event.exit_info[0] || event.exit_info[1]))
		event.flags |= NM_GUARD_EXIT_INFO;
	if (gif_is_set(svm))
		event.flags |= NM_GUARD_GIF_SET;
	if (entry)
		entry->exit_is_told = 1;
	tell_exit(vcpu, entry, &event);
	return entry && entry->stuffed ? svm_tell_stuffed(vcpu, vmcb02, entry) : 0;
}

/* L2 goes with its vCPU, or by an ioctl. */
SEC("fentry/svm_leave_nested")
int BPF_PROG(nm_guard_svm_left, struct kvm_vcpu *vcpu)
{
	struct nm_guard_vcpu *entry = vcpu_find(vcpu);

	if (entry)
		is_out_of_l2(entry);
	return 0;
}

/* ---- SMM ---------------------------------------------------------------------------------------- */

static __attribute__((noinline)) bool is_of_l2(const char *smram)
{
	uint8_t was_in_l2 = 0;

	bpf_probe_read_kernel(&was_in_l2, sizeof(was_in_l2), smram + SMRAM_SVM_GUEST);
	return was_in_l2;
}

SEC("fexit/svm_leave_smm")
int BPF_PROG(nm_guard_svm_smm_left, struct kvm_vcpu *vcpu, const char *smram, int ret)
{
	leave_smm(vcpu);
	if (!is_of_l2(smram))
		return 0;
	if (!ret && is_in_l2(vcpu))
		svm_entered(vcpu);
	return tell_smram(vcpu, smram, NM_GUARD_SMM_LEFT, ret);
}

/* The registers and what is SVM's are in the image by now (enter_smm), guest memory gets it next. */
SEC("fexit/svm_enter_smm")
int BPF_PROG(nm_guard_svm_smm_entered, struct kvm_vcpu *vcpu, const char *smram, int ret)
{
	enter_smm(vcpu);
	return is_of_l2(smram) ? tell_smram(vcpu, smram, NM_GUARD_SMM_ENTERED, ret) : 0;
}

#endif
