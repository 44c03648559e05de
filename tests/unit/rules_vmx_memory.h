/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on lists and tables in guest memory: one row a rule. */
#ifndef NESTMIG_RULES_VMX_MEMORY_H
#define NESTMIG_RULES_VMX_MEMORY_H

#include "rules_vmx_vm.h"

/* The last entry of the EPTP list; an entry of the root table of the EPT. */
#define EPTP_511(value)     RAM(GPA_EPTP_LIST + 511 * 8, value)
#define EPT_ENTRY(n, value) RAM(GPA_EPT_ROOT + (n)*8, value)
#define OTHER_EPTP          ((uint64_t)GPA_FREE_PAGE | 3 << 3 | 6)

/* An MSR area of two entries, the second of which is this. */
#define MSR_AREA(area, index)                                                                      \
	VMCS(vm_##area##_count, 2), VMCS(vm_##area##_addr, GPA_MSR_LISTS),                         \
		RAM(GPA_MSR_LISTS, 0x10), RAM(GPA_MSR_LISTS + 16, index)
#define ENTRY_MSR(index) MSR_AREA(entry_msr_load, index)
#define X2APIC_MODE      VIEW(sregs.apic_base, 0xfee00d00)
#define MSRLOAD(rule, index)                                                                       \
	{                                                                                          \
		NESTMIG_RULE_vmx_msrload_##rule, {ENTRY_MSR(index)}, {ENTRY_MSR(0x174)},           \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

static const struct rule_case vmx_memory_cases[] = {
	{NESTMIG_RULE_vmx_vmfunc_entry_memtype,
	 {EPTP_511(OTHER_EPTP & ~UINT64_C(6))},
	 {EPTP_511(OTHER_EPTP)},
	 {0}},
	{NESTMIG_RULE_vmx_vmfunc_entry_walk,
	 {EPTP_511((uint64_t)GPA_FREE_PAGE | 4 << 3 | 6)},
	 {EPTP_511(OTHER_EPTP)},
	 {0}},
	{NESTMIG_RULE_vmx_vmfunc_entry_ad,
	 {EPTP_511(OTHER_EPTP | EPTP_AD), GUEST_CAP(EPT_VPID_CAP, 0x06134041)},
	 {EPTP_511(OTHER_EPTP | EPTP_AD)},
	 {0}},
	{NESTMIG_RULE_vmx_vmfunc_entry_reserved,
	 {EPTP_511(OTHER_EPTP | 0x80)},
	 {EPTP_511(OTHER_EPTP), EPT_ENTRY(0, 0)},
	 {0}},
	{NESTMIG_RULE_vmx_vmfunc_entry_width,
	 {EPTP_511(OTHER_EPTP | BEYOND_40_BITS)},
	 {EPTP_511(OTHER_EPTP | BEYOND_40_BITS), VMCS(vm_function_control, 0)},
	 {0}},
	{NESTMIG_RULE_vmx_vmfunc_entry_root_backed,
	 {EPTP_511(NO_RAM | 3 << 3 | 6)},
	 {EPTP_511(NO_RAM)},
	 {0}},
	{NESTMIG_RULE_vmx_ept_w_without_r, {EPT_ENTRY(7, 0x121002)}, {EPT_ENTRY(7, 0x121007)}, {0}},
	{NESTMIG_RULE_vmx_ept_xonly,
	 {EPT_ENTRY(7, 0x121004), GUEST_CAP(EPT_VPID_CAP, 0x06334040)},
	 {EPT_ENTRY(7, 0x121004)},
	 {0}},
	{NESTMIG_RULE_vmx_ept_high_reserved,
	 {EPT_ENTRY(511, BEYOND_40_BITS | 7)},
	 {EPT_ENTRY(511, BEYOND_40_BITS)},
	 {0}},
	{NESTMIG_RULE_vmx_ept_nonleaf_low, {EPT_ENTRY(1, 0x121087)}, {EPT_ENTRY(1, 0x121107)}, {0}},
	{NESTMIG_RULE_vmx_tpr_threshold_vtpr,
	 {VMCS(tpr_threshold, 5), RAM(GPA_VAPIC + VAPIC_TPR, 0x4f)},
	 {VMCS(tpr_threshold, 5), RAM(GPA_VAPIC + VAPIC_TPR, 0x50)},
	 {0}},
	MSRLOAD(fsbase, 0xc0000100),
	MSRLOAD(gsbase, 0xc0000101),
	MSRLOAD(smm_monitor, 0x9b),
	MSRLOAD(ucode_write, 0x79),
	MSRLOAD(ucode_rev, 0x8b),
	MSRLOAD(reserved, UINT64_C(0x100000174)),
	{NESTMIG_RULE_vmx_msrload_x2apic,
	 {ENTRY_MSR(0x80b), X2APIC_MODE},
	 {ENTRY_MSR(0x80b)},
	 {NESTMIG_RULE_evt_sregs_apic_base + 1}},
	{NESTMIG_RULE_vmx_msrload_value,
	 {ENTRY_MSR(0x277), RAM(GPA_MSR_LISTS + 24, 2)},
	 {ENTRY_MSR(0x277), RAM(GPA_MSR_LISTS + 24, 6)},
	 {0}},
	{NESTMIG_RULE_vmx_msrload_readable,
	 {VMCS(vm_entry_msr_load_count, 1), VMCS(vm_entry_msr_load_addr, NO_RAM)},
	 {VMCS(vm_entry_msr_load_addr, NO_RAM)},
	 {0}},
	{NESTMIG_RULE_vmx_msrexitload_entry,
	 {MSR_AREA(exit_msr_load, 0x9b)},
	 {MSR_AREA(exit_msr_load, 0xc0000103)},
	 {0}},
	{NESTMIG_RULE_vmx_msrexitload_readable,
	 {VMCS(vm_exit_msr_load_count, 1), VMCS(vm_exit_msr_load_addr, NO_RAM)},
	 {VMCS(vm_exit_msr_load_addr, NO_RAM)},
	 {0}},
	{NESTMIG_RULE_vmx_msrexitstore_entry,
	 {MSR_AREA(exit_msr_store, 0x9e)},
	 {MSR_AREA(exit_msr_store, 0x1b)},
	 {0}},
	{NESTMIG_RULE_vmx_msrexitstore_writable,
	 {VMCS(vm_exit_msr_store_count, 1), VMCS(vm_exit_msr_store_addr, NO_RAM)},
	 {VMCS(vm_exit_msr_store_addr, NO_RAM)},
	 {0}},
};

#endif
