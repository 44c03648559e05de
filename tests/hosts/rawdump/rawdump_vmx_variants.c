// SPDX-License-Identifier: GPL-2.0-or-later
/* What is dumped on Intel's KVM, and how L1 is stopped right after VMRESUME. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "rawdump.h"

#define GUEST(mode_, ept)                                                                          \
	{                                                                                          \
		.mode = mode_, .nested_paging = ept                                                \
	}
#define EXTRA(extra_, ept)                                                                         \
	{                                                                                          \
		.mode = L2_LONG, .nested_paging = ept, .extra = extra_                             \
	}
#define PLAIN                                                                                      \
	{                                                                                          \
		.mode = L2_LEGACY, .plain = true                                                   \
	}

/* L2 in one mode: running, about to be entered, interrupted by an SMI. */
#define MODE(name, mode, ept)                                                                      \
	{name, GUEST(mode, ept), IN_L2, VM_CAPS_DEFAULT},                                          \
		{name "-pending", GUEST(mode, ept), RUN_PENDING, VM_CAPS_DEFAULT},                 \
	{                                                                                          \
		"smm-l2-" name, GUEST(mode, ept), SMM_FROM_L2, VM_CAPS_DEFAULT                     \
	}

/* One more use of VMX, in L2, about to enter L2, and in L1, whose next VM entry checks it all. */
#define MORE(name, extra, ept)                                                                     \
	{name, EXTRA(extra, ept), IN_L2, VM_CAPS_DEFAULT},                                         \
		{name "-pending", EXTRA(extra, ept), RUN_PENDING, VM_CAPS_DEFAULT},                \
	{                                                                                          \
		"l1-" name, EXTRA(extra, ept), IN_L1, VM_CAPS_DEFAULT                              \
	}

static const struct variant items[] = {
	MODE("long-ept", L2_LONG, true),
	MODE("long-noept", L2_LONG, false),
	MODE("pae-ept", L2_PAE, true),
	MODE("pae-noept", L2_PAE, false),
	MODE("legacy-ept", L2_LEGACY, true),
	MODE("legacy-noept", L2_LEGACY, false),
	MODE("real-ept", L2_REAL, true),
	MODE("vm86-ept", L2_VM86, true),
	MODE("vm86-noept", L2_VM86, false),
	{"l1-long-ept", GUEST(L2_LONG, true), IN_L1, VM_CAPS_DEFAULT},
	{"l1-long-noept", GUEST(L2_LONG, false), IN_L1, VM_CAPS_DEFAULT},
	{"l1-vmxon", GUEST(L2_LONG, false), IN_VMXON, VM_CAPS_DEFAULT},
	{"smm-l1-long-ept", GUEST(L2_LONG, true), SMM_FROM_L1, VM_CAPS_DEFAULT},
	{"smm-l1-long-noept", GUEST(L2_LONG, false), SMM_FROM_L1, VM_CAPS_DEFAULT},
	MORE("msrlists-long-ept", VMX_MSR_LISTS, true),
	MORE("msrlists-long-noept", VMX_MSR_LISTS, false),
	MORE("eptplist-long", VMX_EPTP_LIST, true),
	MORE("tpr-long-ept", VMX_TPR_SHADOW, true),
	MORE("apicaccess-long-ept", VMX_APIC_ACCESS, true),
	MORE("x2apic-long-ept", VMX_X2APIC, true),
	MORE("fullcontrols-long-ept", VMX_FULL, true),
	MORE("fullcontrols-long-noept", VMX_FULL, false),
	/* a VMM that enables nothing */
	{"long-ept-nocaps", GUEST(L2_LONG, true), IN_L2, 0},
	{"long-noept-nocaps", GUEST(L2_LONG, false), IN_L2, 0},
	/* no long mode in CPUID: SMRAM has KVM's 32-bit map */
	{"plain-legacy", PLAIN, IN_L1, VM_CAPS_DEFAULT},
	{"smm-plain-legacy", PLAIN, SMM_FROM_L1, VM_CAPS_DEFAULT},
};

const struct variant_list vmx_variants = {items, sizeof(items) / sizeof(items[0])};

/*
 * L1 runs with interrupts off, so the first "window" for an interrupt that KVM sees is a VM entry that
 * it has emulated: it asks whether L2 could take one, is told to try later, and goes to userspace.
 */
int step_over_vmresume(const struct vm *vm)
{
	union {
		uint8_t bytes[65536];
		struct kvm_nested_state nested;
	} *state = calloc(1, sizeof(*state));
	int failed;

	if (!state)
		return -1;
	vm->run->request_interrupt_window = 1;
	failed = ioctl(vm->vcpu_fd, KVM_RUN, 0);
	vm->run->request_interrupt_window = 0;
	state->nested.size = sizeof(*state);
	if (failed || ioctl(vm->vcpu_fd, KVM_GET_NESTED_STATE, state))
		perror("rawdump: KVM_RUN or KVM_GET_NESTED_STATE");
	else if (vm->run->exit_reason != KVM_EXIT_IRQ_WINDOW_OPEN)
		fprintf(stderr, "rawdump: no window at VMRESUME but KVM exit %u, port 0x%x\n",
			vm->run->exit_reason, vm->run->io.port);
	failed = !(state->nested.flags & KVM_STATE_NESTED_RUN_PENDING);
	if (failed)
		fprintf(stderr, "rawdump: KVM does not stop with a nested run pending\n");
	free(state);
	return failed ? -1 : 0;
}
