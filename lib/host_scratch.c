// SPDX-License-Identifier: LGPL-2.1-or-later
/* A VM for one question. */
#include "host_scratch.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define TSS_ADDRESS 0xfffbd000 /* three pages that no memory slot has; kvm_intel wants them named */

static bool make_vm(struct nm_scratch *s)
{
	struct kvm_userspace_memory_region slot = {.memory_size = NM_SCRATCH_RAM};
	void *memory;

	s->vm = ioctl(s->kvm, KVM_CREATE_VM, 0);
	if (s->vm < 0)
		return false;
	ioctl(s->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	memory = mmap(NULL, NM_SCRATCH_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		return false;
	s->memory = memory;
	slot.userspace_addr = (uintptr_t)memory;
	return ioctl(s->vm, KVM_SET_USER_MEMORY_REGION, &slot) == 0;
}

static bool make_vcpu(struct nm_scratch *s)
{
	int size = ioctl(s->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	s->vcpu = ioctl(s->vm, KVM_CREATE_VCPU, 0);
	if (s->vcpu < 0 || size < (int)sizeof(struct kvm_run))
		return false;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, s->vcpu, 0);
	if (run == MAP_FAILED)
		return false;
	s->run = run;
	s->run_size = (size_t)size;
	s->cpuid.head.nent = NM_SCRATCH_CPUID;
	return ioctl(s->kvm, KVM_GET_SUPPORTED_CPUID, &s->cpuid) == 0 && nm_scratch_set_cpuid(s);
}

bool nm_scratch_start(struct nm_scratch *scratch, int kvm)
{
	memset(scratch, 0, sizeof(*scratch));
	scratch->kvm = kvm;
	scratch->vm = scratch->vcpu = -1;
	if (make_vm(scratch) && make_vcpu(scratch))
		return true;
	nm_scratch_end(scratch);
	return false;
}

void nm_scratch_end(struct nm_scratch *scratch)
{
	if (scratch->run)
		munmap(scratch->run, scratch->run_size);
	if (scratch->vcpu >= 0)
		close(scratch->vcpu);
	if (scratch->vm >= 0)
		close(scratch->vm);
	if (scratch->memory)
		munmap(scratch->memory, NM_SCRATCH_RAM);
	scratch->run = NULL;
	scratch->memory = NULL;
	scratch->vm = scratch->vcpu = -1;
}

uint32_t *nm_scratch_cpuid_word(struct nm_scratch *scratch, uint32_t function, unsigned reg)
{
	for (uint32_t i = 0; i < scratch->cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &scratch->cpuid.head.entries[i];
		uint32_t *words[] = {&entry->eax, &entry->ebx, &entry->ecx, &entry->edx};

		if (entry->function == function && entry->index == 0)
			return words[reg];
	}
	return NULL;
}

bool nm_scratch_set_cpuid(struct nm_scratch *scratch)
{
	return ioctl(scratch->vcpu, KVM_SET_CPUID2, &scratch->cpuid) == 0;
}

bool nm_scratch_set_msr(const struct nm_scratch *scratch, uint32_t index, uint64_t value)
{
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = {.head = {.nmsrs = 1}};

	one.head.entries[0] = (struct kvm_msr_entry){.index = index, .data = value};
	return ioctl(scratch->vcpu, KVM_SET_MSRS, &one) == 1;
}

bool nm_scratch_add_efer(const struct nm_scratch *scratch, uint64_t bits)
{
	struct kvm_sregs sregs;

	if (ioctl(scratch->vcpu, KVM_GET_SREGS, &sregs) != 0)
		return false;
	sregs.efer |= bits;
	return ioctl(scratch->vcpu, KVM_SET_SREGS, &sregs) == 0;
}

bool nm_scratch_enable(const struct nm_scratch *scratch, uint32_t cap)
{
	struct kvm_enable_cap enable = {.cap = cap, .args = {1}};

	return ioctl(scratch->vm, KVM_ENABLE_CAP, &enable) == 0;
}
