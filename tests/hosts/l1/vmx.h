// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VMCS fields, controls and MSRs that the test hypervisor needs.
 *
 * Encodings: SDM volume 3, appendix B "Field Encoding in VMCS"; controls: 25.6 to 25.8; MSRs:
 * appendix A "VMX Capability Reporting Facility".
 */
#ifndef L1_VMX_H
#define L1_VMX_H

#define MSR_FEATURE_CONTROL     0x3au
#define FEATURE_CONTROL_LOCKED  (1u << 0)
#define FEATURE_CONTROL_VMX     (1u << 2)
#define MSR_VMX_BASIC           0x480u
#define MSR_VMX_PIN             0x481u
#define MSR_VMX_PROC            0x482u
#define MSR_VMX_EXIT            0x483u
#define MSR_VMX_ENTRY           0x484u
#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)
/* From a MSR to the one without the bits that are 1 by default only. */
#define MSR_VMX_TRUE_OFFSET 0xcu

#define CR4_VMXE            (1u << 13)
#define CPUID_1_ECX_VMX     (1u << 5)

#define PROC_HLT            (1u << 7)
#define EXIT_HOST_64        (1u << 9)
#define ENTRY_GUEST_64      (1u << 9)

#define EXIT_REASON_CPUID   10

/* Access rights: SDM volume 3, table 25-2 */
#define RIGHTS_CODE64   0xa09b
#define RIGHTS_DATA     0xc093
#define RIGHTS_TSS64    0x008b
#define RIGHTS_UNUSABLE 0x10000

enum vmcs_field {
	GUEST_ES_SELECTOR = 0x0800,
	GUEST_CS_SELECTOR = 0x0802,
	GUEST_SS_SELECTOR = 0x0804,
	GUEST_DS_SELECTOR = 0x0806,
	GUEST_TR_SELECTOR = 0x080e,
	HOST_ES_SELECTOR = 0x0c00,
	HOST_CS_SELECTOR = 0x0c02,
	HOST_SS_SELECTOR = 0x0c04,
	HOST_DS_SELECTOR = 0x0c06,
	HOST_TR_SELECTOR = 0x0c0c,
	VMCS_LINK_POINTER = 0x2800,
	PIN_CONTROLS = 0x4000,
	PROC_CONTROLS = 0x4002,
	EXIT_CONTROLS = 0x400c,
	ENTRY_CONTROLS = 0x4012,
	INSTRUCTION_ERROR = 0x4400,
	EXIT_REASON = 0x4402,
	GUEST_ES_LIMIT = 0x4800,
	GUEST_CS_LIMIT = 0x4802,
	GUEST_SS_LIMIT = 0x4804,
	GUEST_DS_LIMIT = 0x4806,
	GUEST_TR_LIMIT = 0x480e,
	GUEST_GDTR_LIMIT = 0x4810,
	GUEST_ES_RIGHTS = 0x4814,
	GUEST_CS_RIGHTS = 0x4816,
	GUEST_SS_RIGHTS = 0x4818,
	GUEST_DS_RIGHTS = 0x481a,
	GUEST_FS_RIGHTS = 0x481c,
	GUEST_GS_RIGHTS = 0x481e,
	GUEST_LDTR_RIGHTS = 0x4820,
	GUEST_TR_RIGHTS = 0x4822,
	EXIT_QUALIFICATION = 0x6400,
	GUEST_CR0 = 0x6800,
	GUEST_CR3 = 0x6802,
	GUEST_CR4 = 0x6804,
	GUEST_TR_BASE = 0x6814,
	GUEST_GDTR_BASE = 0x6816,
	GUEST_DR7 = 0x681a,
	GUEST_RSP = 0x681c,
	GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820,
	HOST_CR0 = 0x6c00,
	HOST_CR3 = 0x6c02,
	HOST_CR4 = 0x6c04,
	HOST_TR_BASE = 0x6c0a,
	HOST_GDTR_BASE = 0x6c0c,
	HOST_RIP = 0x6c16,
};

#endif
