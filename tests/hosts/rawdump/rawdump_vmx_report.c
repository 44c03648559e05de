// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What L1 says of an exit or a failure with VMX: see rawdump_guest_code.S. Sources: SDM volume 3,
 * 31.4 "VM Instruction Error Numbers", 25.9.1 "Basic VM-Exit Information", appendix C "VMX Basic Exit
 * Reasons".
 */
#include "rawdump.h"

#define VMFAIL_INVALID         UINT32_MAX
#define VMFAIL_VALID           (UINT32_MAX - 1)
#define EXIT_ENTRY_FAILED      (1u << 31)
#define EXIT_TRIPLE_FAULT      2
#define EXIT_EPT_MISCONFIGURED 49
#define EXIT_VMFUNC            59

static void name_exit(uint32_t reason, struct verdict *verdict)
{
	uint32_t basic = reason & 0xffff;

	if (reason & EXIT_ENTRY_FAILED)
		verdict_say(verdict, "vmentry-exit-%u", basic);
	else if (basic == EXIT_TRIPLE_FAULT)
		verdict_say(verdict, "triple-fault-to-l1");
	else if (basic == EXIT_VMFUNC)
		verdict_say(verdict, "vmfunc-exit-59");
	else if (basic == EXIT_EPT_MISCONFIGURED)
		verdict_say(verdict, "ept-misconfig");
	else
		verdict_say(verdict, "l1-exit %u", basic);
}

void vmx_report(const struct vm *vm, const uint32_t *words, struct verdict *verdict)
{
	(void)vm;
	if (words[0] == VMFAIL_INVALID) {
		verdict_say(verdict, "vmfail-invalid");
		return;
	}
	if (words[0] == VMFAIL_VALID) {
		verdict_say(verdict, "vmfail-%u", words[1]);
		return;
	}
	name_exit(words[0], verdict);
	verdict_add(verdict, " reason=0x%x qualification=0x%llx intr=0x%x vectoring=0x%x", words[0],
		    (unsigned long long)words[3] << 32 | words[2], words[4], words[5]);
}
