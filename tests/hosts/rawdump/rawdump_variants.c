// SPDX-License-Identifier: GPL-2.0-or-later
/* The states that are dumped: which guest, and the moment at which it is stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rawdump.h"

#define MAX_STEPS     16
#define PARAMETER_MAX 4096

enum moment {
	IN_L2,
	/* VMRUN is emulated, L2 not yet entered */
	RUN_PENDING,
	IN_L1,
	/* in the handler of an SMI that came to L2, or to L1 */
	SMM_FROM_L2,
	SMM_FROM_L1,
};

struct variant {
	const char *name;
	struct guest guest;
	enum moment moment;
	vm_caps caps;
};

#define VARIANT(name, mode, np, moment)                                                            \
	{                                                                                          \
		name, {mode, np, false, false}, moment, VM_CAPS_DEFAULT                            \
	}

static const struct variant variants[] = {
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
	{"long-nonp-noshutdown", {L2_LONG, false, true, false}, IN_L2, VM_CAPS_DEFAULT},
	{"long-np-noshutdown", {L2_LONG, true, true, false}, IN_L2, VM_CAPS_DEFAULT},
	{"smm-l2-long-nonp-noshutdown",
	 {L2_LONG, false, true, false},
	 SMM_FROM_L2,
	 VM_CAPS_DEFAULT},
	/* a VMM that enables nothing */
	{"long-nonp-nocaps", {L2_LONG, false, false, false}, IN_L2, 0},
	{"long-np-nocaps", {L2_LONG, true, false, false}, IN_L2, 0},
	/* no long mode in CPUID: SMRAM has KVM's 32-bit map */
	{"plain-legacy", {L2_LEGACY, false, false, true}, IN_L1, VM_CAPS_DEFAULT},
	{"smm-plain-legacy", {L2_LEGACY, false, false, true}, SMM_FROM_L1, VM_CAPS_DEFAULT},
};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

/* Up to the count'th OUT to port, and to the end of that instruction. */
static int run_until_out(const struct vm *vm, unsigned int port, unsigned int count)
{
	static const unsigned int harmless[] = {PORT_L2_COUNT, PORT_L1_CALL};

	while (count) {
		bool known = false;

		if (ioctl(vm->vcpu_fd, KVM_RUN, 0)) {
			perror("rawdump: KVM_RUN");
			return -1;
		}
		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			known = known || is_out(vm->run, harmless[i]);
		if (is_out(vm->run, port)) {
			count--;
		} else if (!known) {
			fprintf(stderr, "rawdump: the guest fails: KVM exit %u, port 0x%x, 0x%x\n",
				vm->run->exit_reason, vm->run->io.port, out_value(vm->run));
			return -1;
		}
	}
	return 0;
}

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
static int step_over_vmrun(const struct vm *vm)
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

static int reach(const struct vm *vm, enum moment moment)
{
	unsigned int port = PORT_L2_COUNT;

	if (moment == IN_L1 || moment == SMM_FROM_L1 || moment == RUN_PENDING)
		port = PORT_L1_CALL;
	/* Past L1's first call, so that no memory is as the loader left it. */
	if (run_until_out(vm, PORT_L1_CALL, 1) ||
	    run_until_out(vm, port, port == PORT_L1_CALL ? 1 : 2))
		return -1;
	if (moment == SMM_FROM_L1 || moment == SMM_FROM_L2) {
		if (ioctl(vm->vcpu_fd, KVM_SMI, 0)) {
			perror("rawdump: KVM_SMI");
			return -1;
		}
		if (run_until_out(vm, PORT_SMM, 1))
			return -1;
	}
	if (finish_instruction(vm))
		return -1;
	return moment == RUN_PENDING ? step_over_vmrun(vm) : 0;
}

/* All of the guest's RAM as one extent: zeros, too, are something that is known. */
static int save_files(const struct vm *vm, vm_caps caps, const char *dir)
{
	char *vcpu = path_new(dir, "vcpu0"), *memory = path_new(dir, "mem");
	char *extent = path_new(dir, "mem/0"), *host_msrs = path_new(dir, "host_msrs");
	int failed = -1;

	if (vcpu && memory && extent && host_msrs && !dir_make(dir) && !dir_make(vcpu) &&
	    !dir_make(memory) && !state_save(vm, caps, vcpu) &&
	    !file_write(extent, vm->memory, GUEST_MEMORY) &&
	    !feature_msrs_save(vm->kvm_fd, host_msrs))
		failed = meta_save(dir, caps);
	free(vcpu);
	free(memory);
	free(extent);
	free(host_msrs);
	return failed;
}

static const struct variant *find_variant(const char *name)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		if (!strcmp(variants[i].name, name))
			return &variants[i];
	}
	fprintf(stderr, "rawdump: there is no variant %s\n", name);
	return NULL;
}

int variant_save(int kvm_fd, const char *name, const char *dir)
{
	const struct variant *variant = find_variant(name);
	uint8_t *memory = variant ? guest_memory_new(-1) : NULL;
	struct vm vm;
	int failed = -1;

	if (!memory)
		return -1;
	if (!vm_open(kvm_fd, variant->caps, memory, &vm) && !guest_load(&vm, &variant->guest) &&
	    !reach(&vm, variant->moment)) {
		guest_clean(memory);
		failed = save_files(&vm, variant->caps, dir);
	}
	vm_close(&vm);
	return failed;
}

/* L1 gets nested paging only where KVM itself uses it. */
static bool host_has_npt(void)
{
	size_t size;
	char *value = file_read_new("/sys/module/kvm_amd/parameters/npt", PARAMETER_MAX, &size);
	bool on = value && (value[0] == 'Y' || value[0] == '1');

	free(value);
	return on;
}

void variants_print(void)
{
	bool npt = host_has_npt();

	for (size_t i = 0; i < VARIANTS; i++) {
		if (npt || !variants[i].guest.nested_paging)
			puts(variants[i].name);
	}
}
