// SPDX-License-Identifier: GPL-2.0-or-later
/* What is dumped on AMD's KVM, and how L1 is stopped right after VMRUN. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "rawdump.h"

#define MAX_STEPS 16

#define VARIANT(name, mode_, np, moment)                                                           \
	{                                                                                          \
		name, {.mode = mode_, .nested_paging = np}, moment, VM_CAPS_DEFAULT                \
	}

static const struct variant items[] = {
	VARIANT("long-nonp", L2_LONG, false, IN_L2),
	VARIANT("long-np", L2_LONG, true, IN_L2),
	VARIANT("legacy-nonp", L2_LEGACY, false, IN_L2),
	VARIANT("legacy-np", L2_LEGACY, true, IN_L2),
	VARIANT("pae-nonp", L2_PAE, false, IN_L2),
	VARIANT("pae-np", L2_PAE, true, IN_L2),
	VARIANT("real-nonp", L2_REAL, false, IN_L2),
	VARIANT("real-np", L2_REAL, true, IN_L2),
	VARIANT("long-nonp-pending", L2_LONG, false, RUN_PENDING),
	VARIANT("long-np-pending", L2_LONG, true, RUN_PENDING),
	VARIANT("legacy-nonp-pending", L2_LEGACY, false, RUN_PENDING),
	VARIANT("legacy-np-pending", L2_LEGACY, true, RUN_PENDING),
	VARIANT("pae-nonp-pending", L2_PAE, false, RUN_PENDING),
	VARIANT("pae-np-pending", L2_PAE, true, RUN_PENDING),
	VARIANT("real-nonp-pending", L2_REAL, false, RUN_PENDING),
	VARIANT("real-np-pending", L2_REAL, true, RUN_PENDING),
	VARIANT("l1-long-nonp", L2_LONG, false, IN_L1),
	VARIANT("l1-long-np", L2_LONG, true, IN_L1),
	VARIANT("smm-l2-long-nonp", L2_LONG, false, SMM_FROM_L2),
	VARIANT("smm-l2-long-np", L2_LONG, true, SMM_FROM_L2),
	VARIANT("smm-l2-legacy-nonp", L2_LEGACY, false, SMM_FROM_L2),
	VARIANT("smm-l2-pae-nonp", L2_PAE, false, SMM_FROM_L2),
	VARIANT("smm-l2-pae-np", L2_PAE, true, SMM_FROM_L2),
	VARIANT("smm-l2-legacy-np", L2_LEGACY, true, SMM_FROM_L2),
	VARIANT("smm-l2-real-nonp", L2_REAL, false, SMM_FROM_L2),
	VARIANT("smm-l2-real-np", L2_REAL, true, SMM_FROM_L2),
	VARIANT("smm-l1-long-nonp", L2_LONG, false, SMM_FROM_L1),
	VARIANT("smm-l1-long-np", L2_LONG, true, SMM_FROM_L1),
	/* L1 does not intercept SHUTDOWN */
	{"long-nonp-noshutdown",
	 {.mode = L2_LONG, .shutdown_not_intercepted = true},
	 IN_L2,
	 VM_CAPS_DEFAULT},
	{"long-np-noshutdown",
	 {.mode = L2_LONG, .nested_paging = true, .shutdown_not_intercepted = true},
	 IN_L2,
	 VM_CAPS_DEFAULT},
	{"smm-l2-long-nonp-noshutdown",
	 {.mode = L2_LONG, .shutdown_not_intercepted = true},
	 SMM_FROM_L2,
	 VM_CAPS_DEFAULT},
	/* a VMM that enables nothing */
	{"long-nonp-nocaps", {.mode = L2_LONG}, IN_L2, 0},
	{"long-np-nocaps", {.mode = L2_LONG, .nested_paging = true}, IN_L2, 0},
	/* no long mode in CPUID: SMRAM has KVM's 32-bit map */
	{"plain-legacy", {.mode = L2_LEGACY, .plain = true}, IN_L1, VM_CAPS_DEFAULT},
	{"smm-plain-legacy", {.mode = L2_LEGACY, .plain = true}, SMM_FROM_L1, VM_CAPS_DEFAULT},
};

const struct variant_list svm_variants = {items, sizeof(items) / sizeof(items[0])};

static int nested_flags(const struct vm *vm, uint16_t *ret_flags)
{
	union {
		uint8_t bytes[65536];
		struct kvm_nested_state nested;
	} *buffer = calloc(1, sizeof(*buffer));
	int failed = -1;

	if (buffer) {
		buffer->nested.size = sizeof(*buffer);
		failed = ioctl(vm->vcpu_fd, KVM_GET_NESTED_STATE, buffer);
		*ret_flags = buffer->nested.flags;
	}
	free(buffer);
	return failed;
}

static int set_debugging(const struct vm *vm, uint32_t control)
{
	struct kvm_guest_debug debug = {.control = control};

	if (!ioctl(vm->vcpu_fd, KVM_SET_GUEST_DEBUG, &debug))
		return 0;
	perror("rawdump: KVM_SET_GUEST_DEBUG");
	return -1;
}

/* Steps L1, because KVM returns to the debugger between emulating VMRUN and entering L2. */
int step_over_vmrun(const struct vm *vm)
{
	uint16_t flags = 0;

	if (set_debugging(vm, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP))
		return -1;
	for (int step = 0; step < MAX_STEPS && !(flags & KVM_STATE_NESTED_RUN_PENDING); step++) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0) || vm->run->exit_reason != KVM_EXIT_DEBUG) {
			fprintf(stderr, "rawdump: a step ends with KVM exit %u\n",
				vm->run->exit_reason);
			return -1;
		}
		if (nested_flags(vm, &flags)) {
			perror("rawdump: KVM_GET_NESTED_STATE");
			return -1;
		}
	}
	if (!(flags & KVM_STATE_NESTED_RUN_PENDING)) {
		fprintf(stderr, "rawdump: KVM never stops with a nested run pending\n");
		return -1;
	}
	return set_debugging(vm, 0);
}
