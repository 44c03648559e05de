// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM with one vCPU, as QEMU sets one up: interrupt controller in the kernel, exception payloads
 * and triple-fault events on, so that a saved state meets the same checks in both.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rawdump.h"

#define MAX_CPUID_ENTRIES 256

struct kvm_cpuid2 *supported_cpuid_new(int kvm_fd)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MAX_CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid) {
		perror("rawdump: CPUID table");
		return NULL;
	}
	cpuid->nent = MAX_CPUID_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		perror("rawdump: KVM_GET_SUPPORTED_CPUID");
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

static int enable_capabilities(int vm_fd)
{
	static const uint32_t wanted[] = {KVM_CAP_EXCEPTION_PAYLOAD,
					  KVM_CAP_X86_TRIPLE_FAULT_EVENT};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct kvm_enable_cap cap = {.cap = wanted[i], .args = {1}};

		if (ioctl(vm_fd, KVM_CHECK_EXTENSION, wanted[i]) <= 0)
			continue;
		if (ioctl(vm_fd, KVM_ENABLE_CAP, &cap)) {
			fprintf(stderr, "rawdump: KVM_ENABLE_CAP %u: %m\n", wanted[i]);
			return -1;
		}
	}
	return 0;
}

static int add_memory(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEMORY};

	vm->memory = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (vm->memory == MAP_FAILED) {
		perror("rawdump: guest memory");
		vm->memory = NULL;
		return -1;
	}
	region.userspace_addr = (uintptr_t)vm->memory;
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region)) {
		perror("rawdump: KVM_SET_USER_MEMORY_REGION");
		return -1;
	}
	return 0;
}

static int add_vcpu(struct vm *vm)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0 || size < (int)sizeof(struct kvm_run)) {
		perror("rawdump: KVM_CREATE_VCPU");
		return -1;
	}
	vm->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED) {
		perror("rawdump: cannot map the vCPU");
		vm->run = NULL;
		return -1;
	}
	vm->run_size = (size_t)size;
	return 0;
}

int vm_open(struct vm *ret_vm)
{
	struct vm *vm = ret_vm;

	*vm = (struct vm){.kvm_fd = -1, .vm_fd = -1, .vcpu_fd = -1};
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		perror("rawdump: /dev/kvm");
		return -1;
	}
	if (ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) <= 0) {
		fprintf(stderr, "rawdump: /dev/kvm saves no nested state: load kvm_amd with "
				"nested=1\n");
		return -1;
	}
	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0) {
		perror("rawdump: KVM_CREATE_VM");
		return -1;
	}
	if (enable_capabilities(vm->vm_fd))
		return -1;
	if (ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0)) {
		perror("rawdump: KVM_CREATE_IRQCHIP");
		return -1;
	}
	if (add_memory(vm))
		return -1;
	return add_vcpu(vm);
}

void vm_close(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_size);
	if (vm->vcpu_fd >= 0)
		close(vm->vcpu_fd);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->memory)
		munmap(vm->memory, GUEST_MEMORY);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
}
