// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VMX as the guests use it. Sources: SDM volume 3, chapter 25 "Virtual Machine Control Structures",
 * appendix A "VMX Capability Reporting Facility", appendix B "Field Encoding in VMCS".
 */
#ifndef RAWDUMP_VMX_H
#define RAWDUMP_VMX_H

#include "rawdump_guest.h"

/* Guest physical addresses, a page each. */
#define ADDRESS_VMCS           ADDRESS_VMCB
#define ADDRESS_VMXON          0x6000
#define ADDRESS_IO_BITMAPS     0x7000 /* two pages */
#define ADDRESS_MSR_BITMAP     0x9000
#define ADDRESS_ENTRY_LOAD     0xa000 /* MSR areas, 16 bytes an entry */
#define ADDRESS_EXIT_STORE     0xa400
#define ADDRESS_EXIT_LOAD      0xa800
#define ADDRESS_OPERANDS       0xb000 /* rawdump_guest_code.S knows it too */
#define ADDRESS_WRITES         0xb010
#define ADDRESS_VIRTUAL_APIC   0x15000
#define ADDRESS_APIC_ACCESS    0x16000
#define ADDRESS_POSTED         0x18000
#define ADDRESS_EPTP_LIST      0x19000
#define ADDRESS_VMREAD_BITMAP  0x1a000
#define ADDRESS_VMWRITE_BITMAP 0x1b000
#define ADDRESS_SHADOW_VMCS    0x1c000
#define ADDRESS_PML            0x1d000
#define ADDRESS_SECOND_EPT     0x1e000 /* another root, for EPTP switching */
#define ADDRESS_NO_IDT         0x20000 /* zeros: L1 takes no exceptions */

#define MSR_LIST_LENGTH        3

#define MSR_FEATURE_CONTROL    0x3a
#define MSR_VMX_BASIC          0x480
#define MSR_VMX_PROC2          0x48b
#define MSR_VMX_EPT_VPID       0x48c
#define MSR_VMX_TRUE_PIN       0x48d
#define MSR_VMX_TRUE_PROC      0x48e
#define MSR_VMX_TRUE_EXIT      0x48f
#define MSR_VMX_TRUE_ENTRY     0x490
#define MSR_VMX_VMFUNC         0x491
#define MSR_VMX_COUNT          (MSR_VMX_VMFUNC - MSR_VMX_BASIC + 1)

#define PIN_INTERRUPTS         (1u << 0)
#define PIN_NMIS               (1u << 3)
#define PROC_IRQ_WINDOW        (1u << 2)
#define PROC_HLT               (1u << 7)
#define PROC_TPR_SHADOW        (1u << 21)
#define PROC_NMI_WINDOW        (1u << 22)
#define PROC_ALL_IO            (1u << 24)
#define PROC_MONITOR_TRAP      (1u << 27)
#define PROC_MSR_BITMAPS       (1u << 28)
#define PROC_SECONDARY         (1u << 31)
#define PROC2_APIC_ACCESSES    (1u << 0)
#define PROC2_EPT              (1u << 1)
#define PROC2_X2APIC           (1u << 4)
#define PROC2_UNRESTRICTED     (1u << 7)
#define PROC2_APIC_REGISTERS   (1u << 8)
#define PROC2_INTERRUPTS       (1u << 9)
#define PROC2_VMFUNC           (1u << 13)
#define PROC2_PML              (1u << 17)
#define EXIT_SAVE_DEBUG        (1u << 2)
#define EXIT_HOST_64           (1u << 9)
#define EXIT_SAVE_PAT          (1u << 18)
#define EXIT_LOAD_PAT          (1u << 19)
#define EXIT_SAVE_EFER         (1u << 20)
#define EXIT_LOAD_EFER         (1u << 21)
#define ENTRY_LOAD_DEBUG       (1u << 2)
#define ENTRY_GUEST_64         (1u << 9)
#define ENTRY_LOAD_PAT         (1u << 14)
#define ENTRY_LOAD_EFER        (1u << 15)
#define VMFUNC_EPTP_SWITCHING  1u

#define EPT_WRITE_BACK         6u
#define EPT_WALK_4             (3u << 3)
#define EPT_ACCESSED_DIRTY     (1u << 6)
#define EPT_CAP_ACCESSED_DIRTY (1u << 21)
#define EPT_ALL                7u
#define EPT_LEAF               (EPT_ALL | EPT_WRITE_BACK << 3 | PAGE_LARGE)

/* The capability MSRs, from MSR_VMX_BASIC on. */
struct vmx_msrs {
	uint64_t values[MSR_VMX_COUNT];
};

struct vmx_controls {
	uint32_t pin, proc, proc2, exit, entry;
	uint64_t eptp; /* 0: none */
	bool vmfunc;
};

/* fd: /dev/kvm or a vCPU */
int vmx_msrs_read(int fd, struct vmx_msrs *ret_msrs);
/* -1, quietly, if the processor does not have what the guest needs */
int vmx_controls_choose(const struct vmx_msrs *msrs, const struct guest *guest,
			struct vmx_controls *ret_controls);

/* Fields that L1 writes. Of L2's segments the first: the others follow, ES to TR, two apart. */
enum vmcs_field {
	VMCS_VPID = 0x0000,
	VMCS_POSTED_VECTOR = 0x0002,
	VMCS_GUEST_ES = 0x0800,
	VMCS_GUEST_CS = 0x0802,
	VMCS_GUEST_SS = 0x0804,
	VMCS_GUEST_DS = 0x0806,
	VMCS_GUEST_FS = 0x0808,
	VMCS_GUEST_GS = 0x080a,
	VMCS_GUEST_LDTR = 0x080c,
	VMCS_GUEST_TR = 0x080e,
	VMCS_GUEST_PML_INDEX = 0x0812,
	VMCS_HOST_ES = 0x0c00,
	VMCS_HOST_CS = 0x0c02,
	VMCS_HOST_SS = 0x0c04,
	VMCS_HOST_DS = 0x0c06,
	VMCS_HOST_TR = 0x0c0c,
	VMCS_IO_BITMAP_A = 0x2000,
	VMCS_IO_BITMAP_B = 0x2002,
	VMCS_MSR_BITMAP = 0x2004,
	VMCS_EXIT_STORE = 0x2006,
	VMCS_EXIT_LOAD = 0x2008,
	VMCS_ENTRY_LOAD = 0x200a,
	VMCS_PML = 0x200e,
	VMCS_VIRTUAL_APIC = 0x2012,
	VMCS_APIC_ACCESS = 0x2014,
	VMCS_POSTED_DESCRIPTOR = 0x2016,
	VMCS_VMFUNC_CONTROLS = 0x2018,
	VMCS_EPTP = 0x201a,
	VMCS_EPTP_LIST = 0x2024,
	VMCS_VMREAD_BITMAP = 0x2026,
	VMCS_VMWRITE_BITMAP = 0x2028,
	VMCS_TSC_MULTIPLIER = 0x2032,
	VMCS_LINK_POINTER = 0x2800,
	VMCS_GUEST_PAT = 0x2804,
	VMCS_GUEST_EFER = 0x2806,
	VMCS_GUEST_PDPTE0 = 0x280a,
	VMCS_HOST_PAT = 0x2c00,
	VMCS_HOST_EFER = 0x2c02,
	VMCS_PIN = 0x4000,
	VMCS_PROC = 0x4002,
	VMCS_EXIT = 0x400c,
	VMCS_EXIT_STORE_COUNT = 0x400e,
	VMCS_EXIT_LOAD_COUNT = 0x4010,
	VMCS_ENTRY = 0x4012,
	VMCS_ENTRY_LOAD_COUNT = 0x4014,
	VMCS_PROC2 = 0x401e,
	VMCS_GUEST_ES_LIMIT = 0x4800,
	VMCS_GUEST_GDTR_LIMIT = 0x4810,
	VMCS_GUEST_IDTR_LIMIT = 0x4812,
	VMCS_GUEST_ES_RIGHTS = 0x4814,
	VMCS_PREEMPTION_TIMER = 0x482e,
	VMCS_CR4_MASK = 0x6002,
	VMCS_CR4_SHADOW = 0x6006,
	VMCS_GUEST_CR0 = 0x6800,
	VMCS_GUEST_CR3 = 0x6802,
	VMCS_GUEST_CR4 = 0x6804,
	VMCS_GUEST_ES_BASE = 0x6806,
	VMCS_GUEST_GDTR_BASE = 0x6816,
	VMCS_GUEST_IDTR_BASE = 0x6818,
	VMCS_GUEST_DR7 = 0x681a,
	VMCS_GUEST_RSP = 0x681c,
	VMCS_GUEST_RIP = 0x681e,
	VMCS_GUEST_RFLAGS = 0x6820,
	VMCS_HOST_CR0 = 0x6c00,
	VMCS_HOST_CR3 = 0x6c02,
	VMCS_HOST_CR4 = 0x6c04,
	VMCS_HOST_TR_BASE = 0x6c0a,
	VMCS_HOST_GDTR_BASE = 0x6c0c,
	VMCS_HOST_IDTR_BASE = 0x6c0e,
	VMCS_HOST_RSP = 0x6c14,
	VMCS_HOST_RIP = 0x6c16,
};

#endif
