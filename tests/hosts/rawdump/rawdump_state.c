// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vCPU's state, one file a KVM struct. Linux Documentation/virt/kvm/api.rst names the ioctls;
 * one table says which file each of them reads and writes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "rawdump.h"

/* What precedes the bytes of the file in the struct that the ioctl takes. */
enum framing {
	PLAIN,
	/* A 32-bit count of the file's entries, padded to eight bytes: kvm_msrs, kvm_cpuid2. */
	COUNTED,
};

struct state_file {
	const char *name;
	const char *get_name;
	const char *set_name;
	unsigned long get;
	unsigned long set;
	enum framing framing;
	/* of the struct if PLAIN (0: as long as it is), of an entry if COUNTED */
	size_t size;
};

#define STATE(name, NAME, type)                                                                    \
	{                                                                                          \
		name, "KVM_GET_" #NAME, "KVM_SET_" #NAME, KVM_GET_##NAME, KVM_SET_##NAME, PLAIN,   \
			sizeof(type)                                                               \
	}

static const struct state_file state_files[] = {
	{"cpuid", "KVM_GET_CPUID2", "KVM_SET_CPUID2", KVM_GET_CPUID2, KVM_SET_CPUID2, COUNTED,
	 sizeof(struct kvm_cpuid_entry2)},
	{"msrs", NULL, "KVM_SET_MSRS", 0, KVM_SET_MSRS, COUNTED, sizeof(struct kvm_msr_entry)},
	STATE("sregs", SREGS, struct kvm_sregs),
	STATE("sregs2", SREGS2, struct kvm_sregs2),
	STATE("regs", REGS, struct kvm_regs),
	STATE("xsave", XSAVE, struct kvm_xsave),
	STATE("xcrs", XCRS, struct kvm_xcrs),
	STATE("lapic", LAPIC, struct kvm_lapic_state),
	STATE("vcpu_events", VCPU_EVENTS, struct kvm_vcpu_events),
	/* Reading it may deliver pending APIC events: after vcpu_events only when saving. */
	STATE("mp_state", MP_STATE, struct kvm_mp_state),
	STATE("debugregs", DEBUGREGS, struct kvm_debugregs),
	{"nested_state", "KVM_GET_NESTED_STATE", "KVM_SET_NESTED_STATE", KVM_GET_NESTED_STATE,
	 KVM_SET_NESTED_STATE, PLAIN, 0},
};

#define STATE_FILES (sizeof(state_files) / sizeof(state_files[0]))

size_t state_file_count(void)
{
	return STATE_FILES;
}

const char *state_file_name(size_t index)
{
	return state_files[index].name;
}

static int save_plain(const struct vm *vm, const struct state_file *file, const char *path)
{
	union {
		uint8_t bytes[65536];
		struct kvm_nested_state nested;
	} *buffer = calloc(1, sizeof(*buffer));
	size_t size = file->size;
	int failed = -1;

	if (!buffer) {
		perror("rawdump: state buffer");
		return -1;
	}
	if (!size)
		buffer->nested.size = sizeof(*buffer);
	if (ioctl(vm->vcpu_fd, file->get, buffer))
		fprintf(stderr, "rawdump: %s: %m\n", file->get_name);
	else
		failed = file_write(path, buffer, size ? size : buffer->nested.size);
	free(buffer);
	return failed;
}

static int save_cpuid(const struct vm *vm, const char *path)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid_new(vm->kvm_fd);
	int failed = -1;

	if (!cpuid)
		return -1;
	if (ioctl(vm->vcpu_fd, KVM_GET_CPUID2, cpuid))
		perror("rawdump: KVM_GET_CPUID2");
	else
		failed = file_write(path, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	free(cpuid);
	return failed;
}

static int save_one(const struct vm *vm, const struct state_file *file, const char *path)
{
	switch (file->set) {
	case KVM_SET_CPUID2:
		return save_cpuid(vm, path);
	case KVM_SET_MSRS:
		return msrs_save(vm, path);
	default:
		return save_plain(vm, file, path);
	}
}

int state_save(const struct vm *vm, vm_caps caps, const char *dir)
{
	for (size_t i = 0; i < STATE_FILES; i++) {
		char *path;
		int failed;

		/* There is no local APIC without one of the capabilities that make it. */
		if (!caps && state_files[i].get == KVM_GET_LAPIC)
			continue;
		path = path_new(dir, state_files[i].name);
		failed = path ? save_one(vm, &state_files[i], path) : -1;
		free(path);
		if (failed)
			return -1;
	}
	return 0;
}

static const struct state_file *find_by_ioctl(const char *set_name)
{
	for (size_t i = 0; i < STATE_FILES; i++) {
		if (!strcmp(state_files[i].set_name, set_name))
			return &state_files[i];
	}
	return NULL;
}

/* What the ioctl takes, in place in the image; NULL if the file's length does not fit. */
static void *argument_of(const struct state_file *file, struct part *part, uint32_t *ret_count)
{
	if (file->framing == PLAIN)
		return part->size < file->size ? NULL : part->bytes;
	if (part->size % file->size)
		return NULL;
	*ret_count = (uint32_t)(part->size / file->size);
	memset(part->bytes - PART_HEADROOM, 0, PART_HEADROOM);
	memcpy(part->bytes - PART_HEADROOM, ret_count, sizeof(*ret_count));
	return part->bytes - PART_HEADROOM;
}

static int restore_one(const struct vm *vm, const struct state_file *file, struct part *part,
		       struct refusal *ret_refusal)
{
	uint32_t count = 0;
	void *argument = argument_of(file, part, &count);
	int expected = file->set == KVM_SET_MSRS ? (int)count : 0;
	int returned, error;

	if (!argument) {
		fprintf(stderr, "rawdump: %s: %zu bytes do not fit %s\n", part->name, part->size,
			file->set_name);
		return -1;
	}
	returned = ioctl(vm->vcpu_fd, file->set, argument);
	error = errno;
	if (returned == expected)
		return 0;
	*ret_refusal = (struct refusal){
		.ioctl = file->set_name,
		.error = returned < 0 ? error : 0,
		.returned = returned,
	};
	if (file->set == KVM_SET_MSRS && returned >= 0 && returned < expected)
		ret_refusal->msr = ((struct kvm_msrs *)argument)->entries[returned].index;
	return 1;
}

int state_restore(const struct vm *vm, struct image *image, struct refusal *ret_refusal)
{
	for (size_t i = 0; image->meta.order[i][0]; i++) {
		const struct state_file *file = find_by_ioctl(image->meta.order[i]);
		struct part *part = NULL;
		char name[48];
		int result;

		if (file) {
			snprintf(name, sizeof(name), "vcpu0/%s", file->name);
			part = image_find(image, name);
		}
		if (!part) {
			fprintf(stderr, "rawdump: there is nothing to give to %s\n",
				image->meta.order[i]);
			return -1;
		}
		result = restore_one(vm, file, part, ret_refusal);
		if (result)
			return result;
	}
	return 0;
}
