// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM with one vCPU. By default as QEMU sets one up: local APIC in the kernel, exception payloads
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

#define MAX_CPUID_ENTRIES    256
#define IDENTITY_MAP_ADDRESS 0xfeffc000ul

static const struct {
	const char *name;
	uint32_t number;
	uint64_t argument;
} known_caps[] = {
	{"KVM_CAP_EXCEPTION_PAYLOAD", KVM_CAP_EXCEPTION_PAYLOAD, 1},
	{"KVM_CAP_X86_TRIPLE_FAULT_EVENT", KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1},
	/* with the pins of one I/O APIC in userspace */
	{"KVM_CAP_SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP, 24},
};

#define KNOWN_CAPS (sizeof(known_caps) / sizeof(known_caps[0]))

const char *vm_cap_name(unsigned int bit)
{
	return bit < KNOWN_CAPS ? known_caps[bit].name : NULL;
}

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

int kvm_open(void)
{
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm_fd < 0) {
		perror("rawdump: /dev/kvm");
		return -1;
	}
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) > 0)
		return kvm_fd;
	fprintf(stderr, "rawdump: /dev/kvm saves no nested state: load kvm_amd or kvm_intel with "
			"nested=1\n");
	close(kvm_fd);
	return -1;
}

uint8_t *guest_memory_new(int fd)
{
	uint8_t *memory = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (memory != MAP_FAILED)
		return memory;
	perror("rawdump: guest memory");
	return NULL;
}

static int enable_caps(int vm_fd, vm_caps caps)
{
	for (unsigned int bit = 0; bit < KNOWN_CAPS; bit++) {
		struct kvm_enable_cap cap = {
			.cap = known_caps[bit].number,
			.args = {known_caps[bit].argument},
		};

		if (!(caps & 1u << bit) || !ioctl(vm_fd, KVM_ENABLE_CAP, &cap))
			continue;
		fprintf(stderr, "rawdump: KVM_ENABLE_CAP %s: %m\n", known_caps[bit].name);
		return -1;
	}
	return 0;
}

/*
 * Where KVM for Intel puts what it needs for real mode without "unrestricted guest": as QEMU does, below
 * the end of the BIOS.
 */
static int add_real_mode(int vm_fd)
{
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;

	if (!ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) &&
	    !ioctl(vm_fd, KVM_SET_TSS_ADDR, IDENTITY_MAP_ADDRESS + 0x1000ul))
		return 0;
	perror("rawdump: KVM_SET_IDENTITY_MAP_ADDR or KVM_SET_TSS_ADDR");
	return -1;
}

/* The same memory twice: what a vCPU in SMM sees is an address space of its own. */
static int add_memory(const struct vm *vm)
{
	for (uint32_t address_space = 0; address_space < 2; address_space++) {
		struct kvm_userspace_memory_region region = {
			.slot = address_space << 16,
			.memory_size = GUEST_MEMORY,
			.userspace_addr = (uintptr_t)vm->memory,
		};

		if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region)) {
			perror("rawdump: KVM_SET_USER_MEMORY_REGION");
			return -1;
		}
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

int vm_open(int kvm_fd, vm_caps caps, uint8_t *memory, struct vm *ret_vm)
{
	*ret_vm = (struct vm){.kvm_fd = kvm_fd, .vm_fd = -1, .vcpu_fd = -1, .memory = memory};
	ret_vm->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (ret_vm->vm_fd < 0) {
		perror("rawdump: KVM_CREATE_VM");
		return -1;
	}
	if (enable_caps(ret_vm->vm_fd, caps) || add_memory(ret_vm))
		return -1;
	if (host_vendor() == VENDOR_INTEL && add_real_mode(ret_vm->vm_fd))
		return -1;
	return add_vcpu(ret_vm);
}

void vm_close(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_size);
	if (vm->vcpu_fd >= 0)
		close(vm->vcpu_fd);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
}
