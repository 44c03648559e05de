// SPDX-License-Identifier: GPL-2.0-or-later
/* The states that are dumped: which guest, and the moment at which it is stopped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rawdump.h"

#define SECONDS_TO_SAVE 30

/* Up to the count'th OUT to port, and to the end of that instruction. */
static int run_until_out(const struct vm *vm, unsigned int port, unsigned int count)
{
	static const unsigned int harmless[] = {PORT_L2_COUNT, PORT_L1_CALL, PORT_L1_VMXON};

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

static int reach(const struct vm *vm, enum moment moment)
{
	unsigned int port = PORT_L2_COUNT;

	if (moment == IN_VMXON)
		return run_until_out(vm, PORT_L1_VMXON, 1) || finish_instruction(vm) ? -1 : 0;
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
	if (moment != RUN_PENDING)
		return 0;
	return host_vendor() == VENDOR_INTEL ? step_over_vmresume(vm) : step_over_vmrun(vm);
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

static const struct variant_list *variants_of_host(void)
{
	return host_vendor() == VENDOR_INTEL ? &vmx_variants : &svm_variants;
}

static const struct variant *find_variant(const char *name)
{
	const struct variant_list *variants = variants_of_host();

	for (size_t i = 0; i < variants->count; i++) {
		if (!strcmp(variants->items[i].name, name))
			return &variants->items[i];
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
	/* A guest that spins is not to be waited for: the signal ends the process. */
	alarm(SECONDS_TO_SAVE);
	if (!vm_open(kvm_fd, variant->caps, memory, &vm) && !guest_load(&vm, &variant->guest) &&
	    !reach(&vm, variant->moment)) {
		guest_clean(memory);
		failed = save_files(&vm, variant->caps, dir);
	}
	vm_close(&vm);
	alarm(0);
	return failed;
}

/* L1 gets nested paging only where KVM itself uses it. */
static bool is_offered(int kvm_fd, const struct variant *variant)
{
	if (host_vendor() == VENDOR_INTEL)
		return vmx_guest_fits(kvm_fd, &variant->guest);
	return !variant->guest.nested_paging || host_parameter("npt");
}

int variants_print(int kvm_fd)
{
	const struct variant_list *variants = variants_of_host();

	for (size_t i = 0; i < variants->count; i++) {
		if (is_offered(kvm_fd, &variants->items[i]))
			puts(variants->items[i].name);
	}
	return 0;
}
