// SPDX-License-Identifier: GPL-2.0-or-later
/* MSRs: a vCPU's, and those through which KVM tells what the host can do. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "rawdump.h"

#define MAX_MSRS 1024

static struct kvm_msr_list *msr_list_new(int kvm_fd, unsigned long request, const char *name)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MAX_MSRS * sizeof(list->indices[0]));

	if (!list) {
		perror("rawdump: MSR list");
		return NULL;
	}
	list->nmsrs = MAX_MSRS;
	if (ioctl(kvm_fd, request, list)) {
		fprintf(stderr, "rawdump: %s: %m\n", name);
		free(list);
		return NULL;
	}
	return list;
}

/*
 * The list names MSRs that this vCPU's CPUID does not give it, or that take back no value: one
 * MSR an ioctl, and only what KVM takes back, on settable_fd if that is not -1, is worth saving.
 */
static int save_list(int fd, const struct kvm_msr_list *list, int settable_fd, const char *path)
{
	struct kvm_msr_entry *entries = calloc(list->nmsrs + 1, sizeof(*entries));
	size_t count = 0;
	int failed;

	if (!entries) {
		perror("rawdump: MSRs");
		return -1;
	}
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		struct one_msr msr = {.count = 1, .entry.index = list->indices[i]};

		if (ioctl(fd, KVM_GET_MSRS, &msr) != 1)
			continue;
		if (settable_fd >= 0 && ioctl(settable_fd, KVM_SET_MSRS, &msr) != 1)
			continue;
		entries[count++] = msr.entry;
	}
	failed = file_write(path, entries, count * sizeof(*entries));
	free(entries);
	return failed;
}

/* A vCPU with VMX on takes no VMX capabilities any more; the one that is restored will. */
static int open_twin(const struct vm *vm, struct vm *ret_twin)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid_new(vm->kvm_fd);
	int failed = !cpuid || vm_open(vm->kvm_fd, 0, vm->memory, ret_twin) ||
		     ioctl(vm->vcpu_fd, KVM_GET_CPUID2, cpuid) ||
		     ioctl(ret_twin->vcpu_fd, KVM_SET_CPUID2, cpuid);

	if (failed)
		perror("rawdump: a second vCPU");
	free(cpuid);
	return failed ? -1 : 0;
}

int msrs_save(const struct vm *vm, const char *path)
{
	struct kvm_msr_list *list =
		msr_list_new(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST");
	bool needs_twin = host_vendor() == VENDOR_INTEL;
	struct vm twin = {.vm_fd = -1, .vcpu_fd = -1};
	int failed = -1;

	if (list && (!needs_twin || !open_twin(vm, &twin)))
		failed =
			save_list(vm->vcpu_fd, list, needs_twin ? twin.vcpu_fd : vm->vcpu_fd, path);
	vm_close(&twin);
	free(list);
	return failed;
}

int feature_msrs_save(int kvm_fd, const char *path)
{
	struct kvm_msr_list *list = msr_list_new(kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST,
						 "KVM_GET_MSR_FEATURE_INDEX_LIST");
	int failed = list ? save_list(kvm_fd, list, -1, path) : -1;

	free(list);
	return failed;
}
