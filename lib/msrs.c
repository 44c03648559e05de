// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names of MSRs: AMD APM volume 2, "Model-Specific Registers"; Intel SDM volume 4. */
#include "msrs.h"

#include <stddef.h>

static const struct {
	uint32_t index;
	const char *name;
} names[] = {
	{0x10, "TSC"},
	{0x1b, "APIC_BASE"},
	{0x34, "SMI_COUNT"},
	{0x3a, "FEATURE_CONTROL"},
	{0x8b, "IA32_BIOS_SIGN_ID"},
	{0x9e, "SMBASE"},
	{0xce, "MSR_PLATFORM_INFO"},
	{0xcf, "IA32_CORE_CAPABILITIES"},
	{0x10a, "IA32_ARCH_CAPABILITIES"},
	{0x174, "SYSENTER_CS"},
	{0x175, "SYSENTER_ESP"},
	{0x176, "SYSENTER_EIP"},
	{0x1a0, "IA32_MISC_ENABLE"},
	{0x1d9, "DEBUGCTL"},
	{0x277, "PAT"},
	{0x345, "IA32_PERF_CAPABILITIES"},
	{0x480, "IA32_VMX_BASIC"},
	{0x481, "IA32_VMX_PINBASED_CTLS"},
	{0x482, "IA32_VMX_PROCBASED_CTLS"},
	{0x483, "IA32_VMX_EXIT_CTLS"},
	{0x484, "IA32_VMX_ENTRY_CTLS"},
	{0x485, "IA32_VMX_MISC"},
	{0x486, "IA32_VMX_CR0_FIXED0"},
	{0x487, "IA32_VMX_CR0_FIXED1"},
	{0x488, "IA32_VMX_CR4_FIXED0"},
	{0x489, "IA32_VMX_CR4_FIXED1"},
	{0x48a, "IA32_VMX_VMCS_ENUM"},
	{0x48b, "IA32_VMX_PROCBASED_CTLS2"},
	{0x48c, "IA32_VMX_EPT_VPID_CAP"},
	{0x48d, "IA32_VMX_TRUE_PINBASED_CTLS"},
	{0x48e, "IA32_VMX_TRUE_PROCBASED_CTLS"},
	{0x48f, "IA32_VMX_TRUE_EXIT_CTLS"},
	{0x490, "IA32_VMX_TRUE_ENTRY_CTLS"},
	{0x491, "IA32_VMX_VMFUNC"},
	{0x492, "IA32_VMX_PROCBASED_CTLS3"},
	{0x493, "IA32_VMX_EXIT_CTLS2"},
	{0xda0, "XSS"},
	{0xc0000080, "EFER"},
	{0xc0000081, "STAR"},
	{0xc0000082, "LSTAR"},
	{0xc0000083, "CSTAR"},
	{0xc0000084, "SFMASK"},
	{0xc0000100, "FS_BASE"},
	{0xc0000101, "GS_BASE"},
	{0xc0000102, "KERNEL_GS_BASE"},
	{0xc0000103, "TSC_AUX"},
	{0xc0000104, "TSC_RATIO"},
	{0xc0010015, "HWCR"},
	{0xc0010114, "VM_CR"},
	{0xc0010117, "VM_HSAVE_PA"},
	{0xc0011029, "DE_CFG"},
};

const char *nm_msr_name(uint32_t index)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].index == index)
			return names[i].name;
	return "";
}
