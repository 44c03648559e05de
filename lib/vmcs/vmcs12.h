/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a VMCS12, as it stands in the data of struct kvm_nested_state: struct vmcs12 of KVM,
 * KVMNS_VMCS_SIZE bytes, little-endian. Needs no libc.
 *
 * vmcs12_<name>(page) reads a field of layout.def; those that are padding read as 0. Bits of controls
 * are named as in the SDM, volume 3, "VM-Execution Control Fields", "VM-Exit Control Fields" and
 * "VM-Entry Control Fields".
 */
#ifndef NESTMIG_VMCS12_H
#define NESTMIG_VMCS12_H

#include "../bytes.h"

/* Offset and width of each field: VMCS12_OFFSET_<name>, VMCS12_WIDTH_<name>. */
enum vmcs12_offset {
#define VMCS_FIELD(offset, width, name, encoding) VMCS12_OFFSET_##name = (offset),
#include "layout.def"
#undef VMCS_FIELD
};

enum vmcs12_width {
#define VMCS_FIELD(offset, width, name, encoding) VMCS12_WIDTH_##name = (width),
#include "layout.def"
#undef VMCS_FIELD
};

#define VMCS_FIELD(offset, width, name, encoding)                                                  \
	static inline uint64_t vmcs12_##name(const uint8_t *page)                                  \
	{                                                                                          \
		return nm_le(page + (offset), width);                                              \
	}
#include "layout.def"
#undef VMCS_FIELD

/* What KVM reads of the page, and its revision id (VMCS12_REVISION of KVM's vmcs12.h). */
#define VMCS12_SIZE     998
#define VMCS12_REVISION UINT64_C(0x11e57ed0)
#define VMCS12_SHADOW   (UINT64_C(1) << 31)

/* "No such structure" in vmxon_pa, vmcs12_pa and the link pointer (INVALID_GPA). */
#define VMCS12_NO_GPA UINT64_MAX

/* Pin-based controls. */
#define PIN_EXTINT (UINT64_C(1) << 0) /* external-interrupt exiting */
#define PIN_NMI    (UINT64_C(1) << 3) /* NMI exiting */
#define PIN_VNMI   (UINT64_C(1) << 5) /* virtual NMIs */
#define PIN_TIMER  (UINT64_C(1) << 6) /* activate VMX-preemption timer */
#define PIN_POSTED (UINT64_C(1) << 7) /* process posted interrupts */

/* Primary processor-based controls. */
#define PROC_INTR_WINDOW (UINT64_C(1) << 2)
#define PROC_TSC_OFFSET  (UINT64_C(1) << 3)
#define PROC_HLT         (UINT64_C(1) << 7)
#define PROC_CR8_LOAD    (UINT64_C(1) << 19)
#define PROC_CR8_STORE   (UINT64_C(1) << 20)
#define PROC_TPR_SHADOW  (UINT64_C(1) << 21)
#define PROC_NMI_WINDOW  (UINT64_C(1) << 22)
#define PROC_IO_BITMAPS  (UINT64_C(1) << 25)
#define PROC_MTF         (UINT64_C(1) << 27) /* monitor trap flag */
#define PROC_MSR_BITMAPS (UINT64_C(1) << 28)
#define PROC_SECONDARY   (UINT64_C(1) << 31) /* activate secondary controls */

/* Secondary processor-based controls. */
#define PROC2_APIC_ACCESS (UINT64_C(1) << 0) /* virtualize APIC accesses */
#define PROC2_EPT         (UINT64_C(1) << 1)
#define PROC2_RDTSCP      (UINT64_C(1) << 3)
#define PROC2_X2APIC      (UINT64_C(1) << 4) /* virtualize x2APIC mode */
#define PROC2_VPID        (UINT64_C(1) << 5)
#define PROC2_URG         (UINT64_C(1) << 7)  /* unrestricted guest */
#define PROC2_APIC_REG    (UINT64_C(1) << 8)  /* APIC-register virtualization */
#define PROC2_VID         (UINT64_C(1) << 9)  /* virtual-interrupt delivery */
#define PROC2_PLE         (UINT64_C(1) << 10) /* PAUSE-loop exiting */
#define PROC2_RDRAND      (UINT64_C(1) << 11)
#define PROC2_INVPCID     (UINT64_C(1) << 12)
#define PROC2_VMFUNC      (UINT64_C(1) << 13)
#define PROC2_SHADOW      (UINT64_C(1) << 14) /* VMCS shadowing */
#define PROC2_RDSEED      (UINT64_C(1) << 16)
#define PROC2_PML         (UINT64_C(1) << 17)
#define PROC2_VE          (UINT64_C(1) << 18) /* EPT-violation #VE */
#define PROC2_XSAVES      (UINT64_C(1) << 20)
#define PROC2_MBEC        (UINT64_C(1) << 22) /* mode-based execute control for EPT */
#define PROC2_SPP         (UINT64_C(1) << 23) /* sub-page write permissions for EPT */
#define PROC2_PT_GPA      (UINT64_C(1) << 24) /* Intel PT uses guest physical addresses */
#define PROC2_TSC_SCALING (UINT64_C(1) << 25)
#define PROC2_WAITPKG     (UINT64_C(1) << 26)

/* VM-exit controls. */
#define EXIT_SAVE_DEBUG (UINT64_C(1) << 2)
#define EXIT_HOST_64    (UINT64_C(1) << 9)  /* host address-space size */
#define EXIT_LOAD_PGC   (UINT64_C(1) << 12) /* load IA32_PERF_GLOBAL_CTRL */
#define EXIT_ACK_INTR   (UINT64_C(1) << 15)
#define EXIT_SAVE_PAT   (UINT64_C(1) << 18)
#define EXIT_LOAD_PAT   (UINT64_C(1) << 19)
#define EXIT_SAVE_EFER  (UINT64_C(1) << 20)
#define EXIT_LOAD_EFER  (UINT64_C(1) << 21)
#define EXIT_SAVE_TIMER (UINT64_C(1) << 22)
#define EXIT_BNDCFGS    (UINT64_C(1) << 23)
#define EXIT_CLEAR_RTIT (UINT64_C(1) << 25)
#define EXIT_LOAD_CET   (UINT64_C(1) << 28)
#define EXIT_LOAD_PKRS  (UINT64_C(1) << 29)

/* VM-entry controls. */
#define ENTRY_LOAD_DEBUG   (UINT64_C(1) << 2)
#define ENTRY_IA32E        (UINT64_C(1) << 9) /* IA-32e mode guest */
#define ENTRY_TO_SMM       (UINT64_C(1) << 10)
#define ENTRY_DUAL_MONITOR (UINT64_C(1) << 11) /* deactivate dual-monitor treatment */
#define ENTRY_LOAD_PGC     (UINT64_C(1) << 13)
#define ENTRY_LOAD_PAT     (UINT64_C(1) << 14)
#define ENTRY_LOAD_EFER    (UINT64_C(1) << 15)
#define ENTRY_LOAD_BNDCFGS (UINT64_C(1) << 16)
#define ENTRY_LOAD_RTIT    (UINT64_C(1) << 18)
#define ENTRY_LOAD_CET     (UINT64_C(1) << 20)
#define ENTRY_LOAD_PKRS    (UINT64_C(1) << 22)

/* Whatever the secondary controls say, they are off where the primary ones do not activate them. */
static inline uint64_t vmcs12_secondary(const uint8_t *page)
{
	return vmcs12_cpu_based_vm_exec_control(page) & PROC_SECONDARY
		       ? vmcs12_secondary_vm_exec_control(page)
		       : 0;
}

/* Does L1 ask for all of these controls? */
static inline int vmcs12_pin(const uint8_t *page, uint64_t bits)
{
	return (vmcs12_pin_based_vm_exec_control(page) & bits) == bits;
}

static inline int vmcs12_proc(const uint8_t *page, uint64_t bits)
{
	return (vmcs12_cpu_based_vm_exec_control(page) & bits) == bits;
}

static inline int vmcs12_proc2(const uint8_t *page, uint64_t bits)
{
	return (vmcs12_secondary(page) & bits) == bits;
}

static inline int vmcs12_exit(const uint8_t *page, uint64_t bits)
{
	return (vmcs12_vm_exit_controls(page) & bits) == bits;
}

/* Is the L1 that VM exits load one with PAE paging outside long mode? */
static inline int vmcs12_host_pae(const uint8_t *page)
{
	return !vmcs12_exit(page, EXIT_HOST_64) && (vmcs12_host_cr0(page) >> 31 & 1) &&
	       (vmcs12_host_cr4(page) >> 5 & 1);
}

static inline int vmcs12_entry(const uint8_t *page, uint64_t bits)
{
	return (vmcs12_vm_entry_controls(page) & bits) == bits;
}

/* Access rights of a segment (SDM, "Guest Register State"). */
#define AR_TYPE(ar) ((unsigned)((ar)&0xf))
#define AR_S        (UINT64_C(1) << 4)
#define AR_DPL(ar)  ((unsigned)((ar) >> 5 & 3))
#define AR_P        (UINT64_C(1) << 7)
#define AR_L        (UINT64_C(1) << 13)
#define AR_DB       (UINT64_C(1) << 14)
#define AR_G        (UINT64_C(1) << 15)
#define AR_UNUSABLE (UINT64_C(1) << 16)
#define AR_RESERVED UINT64_C(0xfffe0f00)

/* VM-entry interruption information. */
#define INJECT_VALID     (UINT64_C(1) << 31)
#define INJECT_EV        (UINT64_C(1) << 11) /* deliver error code */
#define INJECT_RESERVED  UINT64_C(0x7ffff000)
#define INJECT_TYPE(x)   ((unsigned)((x) >> 8 & 7))
#define INJECT_VECTOR(x) ((unsigned)((x)&0xff))
enum inject_type {
	INJECT_INTR,
	INJECT_TYPE_RESERVED,
	INJECT_NMI,
	INJECT_HARD,
	INJECT_SOFT_INTR,
	INJECT_PRIV_SOFT,
	INJECT_SOFT,
	INJECT_OTHER
};

/* EPT pointer. */
#define EPTP_MEMTYPE(x) ((unsigned)((x)&7))
#define EPTP_WALK(x)    ((unsigned)((x) >> 3 & 7))
#define EPTP_AD         (UINT64_C(1) << 6)
#define EPTP_SSS        (UINT64_C(1) << 7)
#define EPTP_RESERVED   UINT64_C(0xf00)
#define EPTP_ROOT       (~UINT64_C(0xfff))
#define VMCS12_EPTPS    512 /* entries of an EPTP list */

/* Entries of EPT tables: rights. */
#define EPT_W   UINT64_C(2)
#define EPT_RW  UINT64_C(3)
#define EPT_X   UINT64_C(4)
#define EPT_RWX UINT64_C(7)

/* Offset of the task priority in a virtual-APIC page. */
#define VAPIC_TPR 0x80

/* VM functions. */
#define VMFUNC_EPTP_SWITCHING (UINT64_C(1) << 0)

/* VMX capability MSRs (SDM volume 3, appendix "VMX Capability Reporting Facility"), as
 * struct nestmig_vmx_msrs numbers them. */
enum vmx_msr {
	VMX_BASIC,
	VMX_PIN,
	VMX_PROC,
	VMX_EXIT,
	VMX_ENTRY,
	VMX_MISC,
	VMX_CR0_FIXED0,
	VMX_CR0_FIXED1,
	VMX_CR4_FIXED0,
	VMX_CR4_FIXED1,
	VMX_VMCS_ENUM,
	VMX_PROC2,
	VMX_EPT_VPID_CAP,
	VMX_TRUE_PIN,
	VMX_TRUE_PROC,
	VMX_TRUE_EXIT,
	VMX_TRUE_ENTRY,
	VMX_VMFUNC,
};

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_XONLY  0
#define EPT_CAP_WALK_4 6
#define EPT_CAP_WALK_5 7
#define EPT_CAP_UC     8
#define EPT_CAP_WB     14
#define EPT_CAP_2M     16
#define EPT_CAP_1G     17
#define EPT_CAP_AD     21
#define EPT_CAP_SSS    23

/* struct kvm_nested_state, hdr.vmx (uapi asm/kvm.h). */
#define VMX_SMM_GUEST_MODE 0x1
#define VMX_SMM_VMXON      0x2
#define VMX_DEADLINE       0x1 /* KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE */

#endif
