/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU of kvm_amd as rules see it (arch/x86/kvm/svm/svm.h and nested.c, 6.1). */
#ifndef NESTMIG_GUARD_SVM_BPF_H
#define NESTMIG_GUARD_SVM_BPF_H

#include "guard_view.bpf.h"
#include "../lib/smram/smram.h"

#define VMCB_SAVE_READ   (NESTMIG_VMCB12_READ - VMCB12_SAVE)
#define INT_STATE_SHADOW 1

/* A segment register as svm_get_segment makes it of the VMCB's (6.1): what processors leave undefined in the
 * VMCB is put right. */
ALWAYS_INLINE void segment(struct nestmig_segment *to, uint64_t selector, uint64_t attrib,
			   uint64_t limit, uint64_t base)
{
	to->base = base;
	to->limit = limit;
	to->selector = selector;
	to->type = attrib & 0xf;
	to->s = attrib >> 4 & 1;
	to->dpl = attrib >> 5 & 3;
	to->present = attrib >> 7 & 1;
	to->avl = attrib >> 8 & 1;
	to->l = attrib >> 9 & 1;
	to->db = attrib >> 10 & 1;
	to->g = limit > 0xfffff;
	to->unusable = !to->present;
}

#define SEGMENT(to, name)                                                                          \
	segment(to, vmcb12_save_##name##_selector(page), vmcb12_save_##name##_attrib(page),        \
		vmcb12_save_##name##_limit(page), vmcb12_save_##name##_base(page))

ALWAYS_INLINE void accessed(struct nestmig_segment *segment)
{
	if (!segment->unusable)
		segment->type |= 1;
}

/* page: a VMCB of which the save area is there. */
static __attribute__((noinline)) int take_segments(struct nestmig_sregs *sregs, const uint8_t *page)
{
	SEGMENT(&sregs->cs, cs);
	SEGMENT(&sregs->ds, ds);
	SEGMENT(&sregs->es, es);
	SEGMENT(&sregs->fs, fs);
	SEGMENT(&sregs->gs, gs);
	SEGMENT(&sregs->ss, ss);
	SEGMENT(&sregs->tr, tr);
	SEGMENT(&sregs->ldt, ldtr);
	accessed(&sregs->ds);
	accessed(&sregs->es);
	accessed(&sregs->fs);
	accessed(&sregs->gs);
	sregs->tr.type |= 2;
	if (sregs->ss.unusable)
		sregs->ss.db = 0;
	sregs->ss.dpl = vmcb12_save_cpl(page);
	sregs->gdt.base = vmcb12_save_gdtr_base(page);
	sregs->gdt.limit = vmcb12_save_gdtr_limit(page);
	sregs->idt.base = vmcb12_save_idtr_base(page);
	sregs->idt.limit = vmcb12_save_idtr_limit(page);
	return 0;
}

/* The registers in a VMCB that the vCPU runs with, or has run with; page is room for it. -1: nobody can read them. */
static __attribute__((noinline)) int
svm_read_sregs(struct nestmig_sregs *sregs, struct kvm_vcpu *vcpu, struct vmcb *vmcb, uint8_t *page)
{
	/* Registers of SEV-ES guests are encrypted. */
	if (BPF_CORE_READ(vcpu, arch.guest_state_protected))
		return -1;
	if (bpf_probe_read_kernel(page + VMCB12_SAVE, VMCB_SAVE_READ, &vmcb->save))
		return -1;
	take_segments(sregs, page);
	take_control_registers(sregs, vcpu);
	return 0;
}

/* What the vCPU runs with: L2's registers in guest mode. page is room for the VMCB that they stand in. */
static __attribute__((noinline)) int svm_take_registers(struct nestmig_vcpu_view *v,
							struct kvm_vcpu *vcpu, uint8_t *page)
{
	struct vcpu_svm *svm = (struct vcpu_svm *)vcpu;
	struct vmcb *vmcb = BPF_CORE_READ(svm, vmcb);
	uint32_t int_state;

	v->hsave_pa = BPF_CORE_READ(svm, nested.hsave_msr);
	v->have |= NESTMIG_HAVE(HSAVE_PA);
	if (svm_read_sregs(&v->sregs, vcpu, vmcb, page))
		return 0;
	v->have |= NESTMIG_HAVE(SREGS);
	take_regs(v, vcpu, vmcb12_save_rflags(page));
	int_state = BPF_CORE_READ(vmcb, control.int_state);
	v->events.intr_shadow = int_state & INT_STATE_SHADOW;
	v->events.flags |= EVENT_SHADOW;
	v->have |= NESTMIG_HAVE(INT_SHADOW);
	return 0;
}

/* A field of KVM's copy of L1's controls, where the VMCB12 has it. */
#define CONTROL(field, ident)                                                                      \
	if (bpf_core_field_exists(svm->nested.ctl.field))                                          \
	bpf_core_read(page + VMCB12_OFFSET_##ident, bpf_core_field_size(svm->nested.ctl.field),    \
		      &svm->nested.ctl.field)

static __attribute__((noinline)) int svm_take_controls(uint8_t *page, struct vcpu_svm *svm)
{
	/* A pointer that cannot be read fills with zeros. */
	bpf_probe_read_kernel(page, VMCB12_SAVE, NULL);
	BPF_CORE_READ_INTO((uint8_t(*)[24])(page + VMCB12_OFFSET_intercept_cr), svm,
			   nested.ctl.intercepts);
	CONTROL(pause_filter_thresh, pause_filter_thresh);
	CONTROL(pause_filter_count, pause_filter_count);
	CONTROL(iopm_base_pa, iopm_base_pa);
	CONTROL(msrpm_base_pa, msrpm_base_pa);
	CONTROL(tsc_offset, tsc_offset);
	CONTROL(asid, asid);
	CONTROL(tlb_ctl, tlb_ctl);
	CONTROL(int_ctl, int_ctl);
	CONTROL(int_vector, int_vector);
	CONTROL(int_state, int_state);
	CONTROL(nested_ctl, nested_ctl);
	CONTROL(event_inj, event_inj);
	CONTROL(event_inj_err, event_inj_err);
	CONTROL(next_rip, next_rip);
	CONTROL(nested_cr3, nested_cr3);
	CONTROL(virt_ext, virt_ext);
	CONTROL(clean, clean);
	return 0;
}

/* KVM's own copy of what KVM_SET_NESTED_STATE brought: L1's controls in nested.ctl, L1's registers in vmcb01. */
ALWAYS_INLINE void svm_take_nested(struct nestmig_vcpu_view *v, struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = (struct vcpu_svm *)vcpu;
	struct vmcb *vmcb01 = BPF_CORE_READ(svm, vmcb01.ptr);

	v->nested = (struct nestmig_nested){
		.flags = KVMNS_GUEST_MODE | KVMNS_GIF_SET |
			 (is_run_pending(vcpu) ? KVMNS_RUN_PENDING : 0),
		.format = KVMNS_FORMAT_SVM,
		.size = KVMNS_HEADER_SIZE + KVMNS_VMCB_SIZE,
		.vmcb_pa = BPF_CORE_READ(svm, nested.vmcb12_gpa),
	};
	v->nested.stored_flags = v->nested.flags;
	v->have |= NESTMIG_HAVE(NESTED);
	svm_take_controls(v->vmcb12, svm);
	if (!bpf_probe_read_kernel(v->vmcb12 + VMCB12_SAVE, VMCB_SAVE_READ, &vmcb01->save))
		v->have |= NESTMIG_HAVE(VMCB12);
}

/* ---- SMM ---------------------------------------------------------------------------------------- */

struct smm_registers {
	uint64_t efer, cr0, cr3, cr4, dr6, dr7;
};

/* Of an SMI the image has them: KVM has just written the VMCB12 with the same; of RSM KVM's copy of the VMCB12. */
ALWAYS_INLINE void svm_smm_registers(struct smm_registers *to, const struct nestmig_vcpu_view *v,
				     struct vcpu_svm *svm, bool from_image)
{
	if (from_image) {
		to->efer = smram64_efer(v->smram);
		to->cr0 = smram64_cr0(v->smram);
		to->cr3 = smram64_cr3(v->smram);
		to->cr4 = smram64_cr4(v->smram);
		to->dr6 = smram64_dr6(v->smram);
		to->dr7 = smram64_dr7(v->smram);
		return;
	}
	to->efer = BPF_CORE_READ(svm, nested.save.efer);
	to->cr0 = BPF_CORE_READ(svm, nested.save.cr0);
	to->cr3 = BPF_CORE_READ(svm, nested.save.cr3);
	to->cr4 = BPF_CORE_READ(svm, nested.save.cr4);
	to->dr6 = BPF_CORE_READ(svm, nested.save.dr6);
	to->dr7 = BPF_CORE_READ(svm, nested.save.dr7);
}

#define SMM_REGISTER(name)                                                                         \
	__builtin_memcpy(page + VMCB12_OFFSET_save_##name, &registers.name, sizeof(uint64_t))

/*
 * The VMCB12 that the image names, as RSM enters L2 from it: guest memory is not read here, but KVM has written it
 * (svm_enter_smm) or read it (svm_leave_smm) and gone on, so it is there, and so is the page of L1's registers.
 * What of it no rule on RSM reads is left as vmcb02 has it.
 */
static __attribute__((noinline)) int svm_take_smm(struct nestmig_ctx *ctx, struct kvm_vcpu *vcpu,
						  bool from_image)
{
	struct vcpu_svm *svm = (struct vcpu_svm *)vcpu;
	struct vmcb *vmcb02 = BPF_CORE_READ(svm, nested.vmcb02.ptr);
	struct nestmig_vcpu_view *v = ctx->v;
	uint8_t *page = v->smm_vmcb12;
	struct smm_registers registers;

	svm_take_controls(page, svm);
	if (bpf_probe_read_kernel(page + VMCB12_SAVE, VMCB_SAVE_READ, &vmcb02->save))
		return 0;
	svm_smm_registers(&registers, v, svm, from_image);
	SMM_REGISTER(efer);
	SMM_REGISTER(cr0);
	SMM_REGISTER(cr3);
	SMM_REGISTER(cr4);
	SMM_REGISTER(dr6);
	SMM_REGISTER(dr7);
	ctx->mem.smm_vmcb12 = ctx->mem.hsave = NESTMIG_BACKED_YES;
	v->have |= NESTMIG_HAVE(SMM_VMCB12);
	return 0;
}

#endif
