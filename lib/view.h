/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a predicate reads: plain data, no libc, so that the same predicates compile into the
 * library and into a BPF program (-ffreestanding, for the integer types).
 *
 * Layouts are decoded: the readers in formats/ translate struct kvm_* bytes or a QEMU stream into
 * these, and say in `have` which items they found.
 */
#ifndef NESTMIG_VIEW_H
#define NESTMIG_VIEW_H

#include <stdint.h>

/* A BPF program reads a context that is one block of memory, see view_ctx.h. */
#ifdef __bpf__
#define NESTMIG_FLAT
#endif

enum nestmig_item {
#define ITEM(name, text) NESTMIG_ITEM_##name,
#include "items.def"
#undef ITEM
	NESTMIG_ITEM_COUNT
};

/* The bit of an item in `have` masks and in the inputs of a rule. */
#define NESTMIG_HAVE(name) (UINT64_C(1) << NESTMIG_ITEM_##name)

enum nestmig_vendor { NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_AMD };

/* Flags of struct kvm_nested_state (uapi asm/kvm.h). */
#define KVMNS_GUEST_MODE  0x0001
#define KVMNS_RUN_PENDING 0x0002
#define KVMNS_EVMCS       0x0004
#define KVMNS_MTF_PENDING 0x0008
#define KVMNS_GIF_SET     0x0100
#define KVMNS_FORMAT_VMX  0
#define KVMNS_FORMAT_SVM  1
#define KVMNS_HEADER_SIZE 128
#define KVMNS_VMCB_SIZE   4096
#define KVMNS_VMCS_SIZE   4096

/* struct kvm_segment, decoded. */
struct nestmig_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g, avl, unusable;
};

/* struct kvm_dtable, decoded. */
struct nestmig_dtable {
	uint64_t base;
	uint16_t limit;
};

/* struct kvm_sregs and kvm_sregs2, decoded. */
struct nestmig_sregs {
	struct nestmig_segment cs, ds, es, fs, gs, ss, tr, ldt;
	struct nestmig_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	uint64_t interrupt_bitmap[4];
	uint64_t flags;
	uint64_t pdptrs[4];
};

/* struct kvm_regs, decoded. */
struct nestmig_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
};

/* struct kvm_vcpu_events, decoded. */
struct nestmig_events {
	uint8_t exc_injected, exc_nr, exc_has_error_code, exc_pending;
	uint32_t exc_error_code;
	uint8_t intr_injected, intr_nr, intr_soft, intr_shadow;
	uint8_t nmi_injected, nmi_pending, nmi_masked;
	uint32_t sipi_vector;
	uint32_t flags;
	uint8_t smi_smm, smi_pending, smi_inside_nmi, smi_latched_init;
	uint8_t triple_fault;
	uint8_t exc_has_payload;
	uint64_t exc_payload;
};

/* struct kvm_debugregs, decoded. */
struct nestmig_debugregs {
	uint64_t db[4], dr6, dr7, flags;
};

/* Header of struct kvm_nested_state, decoded. `flags` are those that reach the ioctl: for a QEMU
 * stream GUEST_MODE and GIF_SET come from hflags and hflags2; `stored_flags` is what the file says.
 */
struct nestmig_nested {
	uint16_t flags, stored_flags, format;
	uint32_t size;
	uint64_t vmcb_pa, gpat;                            /* hdr.svm */
	uint64_t vmxon_pa, vmcs12_pa, preemption_deadline; /* hdr.vmx */
	uint32_t vmx_flags;
	uint16_t vmx_smm_flags;
};

/* CPUID registers that rules read; a leaf that is not known has its bit in `have` clear. */
enum nestmig_cpuid_word {
	NESTMIG_CPUID_1_ECX,
	NESTMIG_CPUID_1_EDX,
	NESTMIG_CPUID_7_0_EBX,
	NESTMIG_CPUID_7_0_ECX,
	NESTMIG_CPUID_7_0_EDX,
	NESTMIG_CPUID_7_1_EAX,
	NESTMIG_CPUID_A_EAX,
	NESTMIG_CPUID_A_EDX,
	NESTMIG_CPUID_D_1_EAX,
	NESTMIG_CPUID_40000001_EAX,
	NESTMIG_CPUID_80000001_ECX,
	NESTMIG_CPUID_80000001_EDX,
	NESTMIG_CPUID_80000008_EAX, /* 7:0 is the MAXPHYADDR that KVM takes, also without the leaf */
	NESTMIG_CPUID_80000008_EBX,
	NESTMIG_CPUID_8000000A_EBX,
	NESTMIG_CPUID_8000000A_EDX,
	NESTMIG_CPUID_80000021_EAX,
	NESTMIG_CPUID_WORDS
};

struct nestmig_cpuid {
	uint32_t have; /* bit n: word n is known */
	uint32_t word[NESTMIG_CPUID_WORDS];
};

/* The VMX capability MSRs, IA32_VMX_BASIC to IA32_VMX_VMFUNC, by index - NESTMIG_VMX_MSR_FIRST. */
#define NESTMIG_VMX_MSR_FIRST 0x480
#define NESTMIG_VMX_MSRS      18

struct nestmig_vmx_msrs {
	uint32_t have; /* bit n: value n is known */
	uint64_t value[NESTMIG_VMX_MSRS];
};

/* What is known of a range of guest-physical addresses. */
enum nestmig_backed { NESTMIG_BACKED_UNKNOWN, NESTMIG_BACKED_NO, NESTMIG_BACKED_YES };

/* An entry of an EPTP list: each value once, with the first index that has it; not those that are 0. */
struct nestmig_eptp {
	uint64_t value;
	uint16_t index;
	enum nestmig_backed root; /* the page that it points at */
};
#define NESTMIG_EPTPS 512 /* entries of a list */

/* What the present entries of a root table of the EPT have together. */
struct nestmig_ept_root {
	uint64_t any; /* all bits that an entry has */
	uint8_t write_only, execute_only;
};

/* The MSR areas of a VMCS12; of longer ones the first entries. */
enum nestmig_msr_area {
	NESTMIG_AREA_ENTRY_LOAD,
	NESTMIG_AREA_EXIT_LOAD,
	NESTMIG_AREA_EXIT_STORE,
	NESTMIG_MSR_AREAS
};
#define NESTMIG_MSR_ENTRY_SIZE 16  /* index, reserved, value */
#define NESTMIG_FLAT_MSRS      128 /* entries of an area in a flat context */
#ifdef NESTMIG_FLAT
#define NESTMIG_MSR_AREA_MAX NESTMIG_FLAT_MSRS
#else
#define NESTMIG_MSR_AREA_MAX 512
#endif

/* MSRs that KVM_SET_MSRS makes canonical or refuses: bits of msrs_listed. */
#define NESTMIG_LISTED_SYSENTER_ESP 0x1
#define NESTMIG_LISTED_SYSENTER_EIP 0x2
#define NESTMIG_LISTED_FS_BASE      0x4
#define NESTMIG_LISTED_GS_BASE      0x8

/* The save area that RSM loads: at SMBASE + 0xfe00, 512 bytes. */
#define NESTMIG_SMRAM_BASE 0xfe00
#define NESTMIG_SMRAM_SIZE 512

/* What the VMM enables for a VM before it restores vCPUs; KVM refuses state that needs what is not
 * enabled. */
#define NESTMIG_VM_EXCEPTION_PAYLOAD  0x1 /* KVM_CAP_EXCEPTION_PAYLOAD */
#define NESTMIG_VM_TRIPLE_FAULT_EVENT 0x2 /* KVM_CAP_X86_TRIPLE_FAULT_EVENT */
#define NESTMIG_VM_IRQCHIP            0x4 /* a local APIC in the kernel */
#define NESTMIG_VM_EVMCS              0x8 /* KVM_CAP_HYPERV_ENLIGHTENED_VMCS, of each vCPU */

/* The destination, as rules see it. */
struct nestmig_host_view {
	uint64_t have; /* NESTMIG_HAVE bits of host items */
	enum nestmig_vendor vendor;
	uint32_t kernel; /* NESTMIG_KERNEL(major, minor); 0 when not known */
	uint8_t nested;  /* module parameter nested */
	uint8_t npt;     /* kvm_amd npt */
	uint8_t ept;     /* kvm_intel ept */
	uint8_t unrestricted_guest;
	uint8_t no_emulation; /* kvm_intel emulate_invalid_guest_state is said to be N */
	uint8_t vgif, vls;
	uint8_t has_nested_state; /* KVM_CAP_NESTED_STATE answered more than 0 */
	struct nestmig_cpuid cpuid;
	struct nestmig_vmx_msrs vmx; /* all that KVM can give a guest */
};

#define NESTMIG_KERNEL(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))

/*
 * What the guest's CPUID and the host's KVM let registers hold, as a pair of bounds: a bit of `ok`
 * is surely allowed, a bit of `bad` is surely refused, a bit in neither depends on an input that is
 * missing. Physical addresses: every width from phys_bits_min to phys_bits_max is still possible.
 */
struct nestmig_limits {
	uint64_t cr4_ok, cr4_bad;
	uint64_t efer_ok, efer_bad;
	/* What the processor itself takes in the EFER of a VMCB, whatever the guest's CPUID. */
	uint64_t efer_hw_ok, efer_hw_bad;
	uint8_t phys_bits_min, phys_bits_max;
};

/* Bits that must be 1 and bits that must be 0, as far as they are known: a bit of `maybe_one` or
 * `maybe_zero` may have to be, which depends on an input that is missing. */
struct nestmig_bits {
	uint64_t one, maybe_one, zero, maybe_zero;
};

/* What L1 may put into a VMCS12: by the VMX capability MSRs of the guest if it brings them, else, as
 * far as that goes, by those of the host. */
struct nestmig_vmx_limits {
	struct nestmig_bits pin, proc, proc2, exit, entry, vmfunc, cr0, cr4;
	struct nestmig_vmx_msrs msrs; /* only those that are known for certain */
	/* Bits of IA32_VMX_EPT_VPID_CAP and IA32_VMX_MISC: surely offered, surely not. */
	uint64_t ept_yes, ept_no, misc_yes, misc_no;
};

/* Addresses whose backing rules ask about, worked out once per vCPU before judging. */
struct nestmig_backing {
	enum nestmig_backed vmcb12, msrpm, iopm, ncr3, hsave, host_pdptrs_ok, l2_pdptrs_ok;
	enum nestmig_backed smram, smm_vmcb12, rsm_pdptrs_ok;
	/* The page of the CR3 that RSM loads; of the VMCB12 that it enters L2 from, the MSR map and the
	 * root of nested paging; the next SMI's handler and save area. */
	enum nestmig_backed rsm_cr3, smm_msrpm, smm_ncr3, smm_next;
	enum nestmig_backed hsave_cr3; /* the page of the CR3 of the L1 that is parked there */
	enum nestmig_backed cr3;       /* the page of the live CR3 */
	/* Of PAE paging: all pages that present page-directory pointers name. */
	enum nestmig_backed cr3_pdptes, ncr3_pdptes, host_pdptes;
	enum nestmig_backed host_cr3;    /* the page of L1's CR3 in the blob */
	enum nestmig_backed vmcb12_same; /* YES: L1's page holds what the blob holds */
};

/* The same of what a VMCS12 points at. */
struct nestmig_vmx_backing {
	enum nestmig_backed io_bitmap_a, io_bitmap_b, msr_bitmap, vapic, apic_access, posted;
	enum nestmig_backed vmread_bitmap, vmwrite_bitmap, pml, ept_root, eptp_list, vmcs12, link;
	enum nestmig_backed guest_cr3;                         /* the page of L2's CR3 */
	enum nestmig_backed entry_load, exit_load, exit_store; /* the whole of each MSR area */
};

/* The lengths of what a predicate reads of a page: up to the last field that layout.def names. */
#define NESTMIG_VMCS12_READ 1000
#define NESTMIG_VMCB12_READ 0x700

/* Where RSM goes, see smram/rsm.h: step 3 there. */
enum nm_rsm_path {
	NM_RSM_OPEN,  /* not known */
	NM_RSM_TO_L1, /* the image is all that is loaded */
	NM_RSM_TO_L2, /* L2 is entered from its VMCB12 first */
	NM_RSM_STOPS  /* it should be, and that fails before guest mode */
};

/* The registers that step 4 of RSM finds, those that it writes, and those that it leaves. */
struct nm_rsm {
	enum nm_rsm_path path;
	uint64_t old_efer, old_cr0, old_cr3, old_cr4; /* after steps 2 and 3 */
	int old_cs_l, has_old_cr3;
	uint64_t efer, cr0, cr3, cr4; /* as written; CR3 without the PCID if CR4.PCIDE is set */
	uint64_t loaded_efer;         /* after the write of EFER, with LMA */
	uint64_t final_efer;          /* after that of CR0 */
};

/* Room for registers while a question is asked of other ones: a BPF stack has none (predicate.h). */
struct nestmig_spare {
	struct nestmig_sregs sregs;
	struct nestmig_regs regs;
	struct nestmig_events events;
	struct nm_rsm rsm;
};

/* What refers to bytes: struct nestmig_eptp_list, nestmig_vcpu_view and nestmig_ctx. */
#define NESTMIG_VIEW(name) nestmig_##name
#include "view_ctx.h"
#undef NESTMIG_VIEW

enum nestmig_holds { NESTMIG_HOLDS, NESTMIG_BROKEN, NESTMIG_UNKNOWN };

#endif
