// SPDX-License-Identifier: GPL-2.0-or-later
/* What L1 says of an exit with SVM: exit code, exit information 1 and 2, low halves first. */
#include <sys/ioctl.h>

#include "../l1/svm.h"
#include "rawdump.h"

/* GIF after #VMEXIT, as L1 finds it. */
static int gif(const struct vm *vm)
{
	union {
		uint8_t bytes[8192];
		struct kvm_nested_state nested;
	} state = {.nested.size = sizeof(state)};

	if (ioctl(vm->vcpu_fd, KVM_GET_NESTED_STATE, &state))
		return -1;
	return !!(state.nested.flags & KVM_STATE_NESTED_GIF_SET);
}

void svm_report(const struct vm *vm, const uint32_t *words, struct verdict *verdict)
{
	const struct vmcb *vmcb = (const struct vmcb *)(vm->memory + ADDRESS_VMCB);
	uint64_t code = (uint64_t)words[1] << 32 | words[0];

	if (words[0] == UINT32_MAX)
		verdict_say(verdict, "svm-exit-err");
	else if (code == VMEXIT_SHUTDOWN)
		verdict_say(verdict, "triple-fault-to-l1");
	else
		verdict_say(verdict, "l1-exit 0x%llx", (unsigned long long)code);
	verdict_add(verdict, " code=0x%llx info1=0x%llx info2=0x%llx gif=%d",
		    (unsigned long long)code, (unsigned long long)words[3] << 32 | words[2],
		    (unsigned long long)words[5] << 32 | words[4], gif(vm));
	/* What the exit says of L2, if L1's VMCB is where it was. */
	verdict_add(verdict, " intinfo=0x%llx l2dr6=0x%llx l2cr2=0x%llx",
		    (unsigned long long)vmcb->exit_int_info, (unsigned long long)vmcb->dr6,
		    (unsigned long long)vmcb->cr2);
}
