/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types of the kernel, with no more members than the guard reads; CO-RE finds where they are in the kernel
 * that runs. The names are those of Linux 6.1 (arch/x86/include/asm/kvm_host.h, arch/x86/kvm/svm/svm.h,
 * arch/x86/kvm/vmx/vmx.h, include/linux/kvm_host.h); a name with ___ is another kernel's form of the type before.
 */
#ifndef NESTMIG_KVM_BPF_H
#define NESTMIG_KVM_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct {
	int pid, tgid;
	char comm[16];
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct kvm_cpuid_entry2 {
	uint32_t function, index, flags;
	uint32_t eax, ebx, ecx, edx;
};

struct kvm_queued_exception {
	bool pending, injected, has_error_code;
	uint8_t vector;
	uint32_t error_code;
	unsigned long payload;
	bool has_payload;
};

struct kvm_queued_interrupt {
	bool injected, soft;
	uint8_t nr;
};

struct kvm_vcpu_arch {
	unsigned long regs[17];
	uint32_t regs_avail; /* bits: what is not only in the VMCS */
	unsigned long cr0, cr2, cr3, cr4, cr8;
	uint32_t hflags;
	uint64_t efer, apic_base;
	int mp_state;
	uint64_t smbase;
	struct kvm_queued_exception exception;
	struct kvm_queued_interrupt interrupt;
	bool nmi_injected, smi_pending, guest_state_protected;
	unsigned int nmi_pending;
	int cpuid_nent, maxphyaddr;
	struct kvm_cpuid_entry2 *cpuid_entries;
	unsigned long db[4], dr6, dr7;
};

struct kvm_vcpu_stat {
	uint64_t exits, guest_mode;
};

struct kvm_arch {
	bool exception_payload_enabled, triple_fault_event;
};

struct kvm {
	struct kvm_arch arch;
	int userspace_pid;
};

/* uapi linux/kvm.h */
struct kvm_run {
	uint64_t kvm_dirty_regs;
};

struct mutex {
	struct {
		int64_t counter;
	} owner;
};

struct kvm_vcpu {
	struct kvm *kvm;
	int vcpu_id;
	struct mutex mutex;
	struct kvm_run *run;
	uint64_t requests;
	struct kvm_vcpu_arch arch;
	struct kvm_vcpu_stat stat;
};

struct vmcb_seg {
	uint16_t selector, attrib;
	uint32_t limit;
	uint64_t base;
};

struct vmcb_save_area {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t cpl;
	uint64_t rflags, dr6, dr7;
};

struct vmcb_control_area {
	uint32_t int_ctl, int_state, exit_code, exit_code_hi;
	uint64_t exit_info_1, exit_info_2;
};

struct vmcb {
	struct vmcb_control_area control;
	struct vmcb_save_area save;
};

struct kvm_vmcb_info {
	struct vmcb *ptr;
};

struct vmcb_ctrl_area_cached {
	uint32_t intercepts[6];
	uint16_t pause_filter_thresh, pause_filter_count;
	uint64_t iopm_base_pa, msrpm_base_pa, tsc_offset;
	uint32_t asid;
	uint8_t tlb_ctl;
	uint32_t int_ctl, int_vector, int_state;
	uint64_t nested_ctl;
	uint32_t event_inj, event_inj_err;
	uint64_t next_rip, nested_cr3, virt_ext;
	uint32_t clean;
};

struct vmcb_save_area_cached {
	uint64_t efer, cr4, cr3, cr0, dr7, dr6;
};

struct svm_nested_state {
	struct kvm_vmcb_info vmcb02;
	uint64_t hsave_msr, vmcb12_gpa;
	bool nested_run_pending;
	struct vmcb_ctrl_area_cached ctl;
	struct vmcb_save_area_cached save;
};

struct vcpu_svm {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
	struct kvm_vmcb_info vmcb01;
	struct svm_nested_state nested;
};

/* From 6.4 on, where the processor has no virtual GIF. */
struct vcpu_svm___guest_gif {
	bool guest_gif;
};

struct nested_vmx_msrs {
	uint32_t procbased_ctls_low, procbased_ctls_high;
	uint32_t secondary_ctls_low, secondary_ctls_high;
	uint32_t pinbased_ctls_low, pinbased_ctls_high;
	uint32_t exit_ctls_low, exit_ctls_high;
	uint32_t entry_ctls_low, entry_ctls_high;
	uint32_t misc_low, misc_high, ept_caps, vpid_caps;
	uint64_t basic, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum, vmfunc_controls;
};

struct nested_vmx {
	bool vmxon;
	uint64_t vmxon_ptr, current_vmptr;
	void *cached_vmcs12, *cached_shadow_vmcs12;
	bool nested_run_pending, mtf_pending, enlightened_vmcs_enabled;
	uint64_t preemption_timer_deadline;
	bool has_preemption_timer_deadline;
	struct {
		bool vmxon, guest_mode;
	} smm;
	struct nested_vmx_msrs msrs;
};

struct vcpu_vmx {
	struct kvm_vcpu vcpu;
	unsigned long rflags;
	bool emulation_required;
	struct nested_vmx nested;
};

/* From 7.1 on, of both vendors. */
struct kvm_vcpu_arch___newer {
	uint8_t nested_run_pending;
};

struct kvm_vcpu___newer {
	struct kvm_vcpu_arch___newer arch;
};

/* From 6.16 on (struct vcpu_vt, arch/x86/kvm/vmx/common.h). */
struct vcpu_vt___newer {
	bool emulation_required;
};

struct vcpu_vmx___newer {
	struct vcpu_vt___newer vt;
};

/* uapi asm/kvm.h */
struct kvm_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g, avl, unusable;
};

struct msr_data {
	bool host_initiated;
};

struct x86_emulate_ctxt {
	void *vcpu;
};

struct kvm_nested_state;
struct kvm_sregs;
struct kvm_regs;
struct kvm_vcpu_events;

#pragma clang attribute pop

/* The order of arch.regs and the bits of regs_avail (arch/x86/include/asm/kvm_host.h); those after RIP may move. */
enum kvm_reg {
	VCPU_REGS_RAX = 0,
	VCPU_REGS_RCX = 1,
	VCPU_REGS_RSP = 4,
	VCPU_REGS_RIP = 16,
	VCPU_EXREG_CR0 = 18,
	VCPU_EXREG_CR3 = 19,
	VCPU_EXREG_CR4 = 20,
	VCPU_EXREG_RFLAGS = 21,
};

#endif
