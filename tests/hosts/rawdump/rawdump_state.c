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

#define MAX_STATE_FILE (1u << 20)

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

static const struct state_file *find_by_ioctl(const char *set_name)
{
	for (size_t i = 0; i < STATE_FILES; i++) {
		if (!strcmp(state_files[i].set_name, set_name))
			return &state_files[i];
	}
	return NULL;
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

int state_save(const struct vm *vm, const char *dir)
{
	for (size_t i = 0; i < STATE_FILES; i++) {
		char *path = path_new(dir, state_files[i].name);
		int failed = path ? save_one(vm, &state_files[i], path) : -1;

		free(path);
		if (failed)
			return -1;
	}
	return 0;
}

/* The file's bytes with what must stand before them; free() it. */
static void *argument_new(const struct state_file *file, const char *path, uint32_t *ret_count)
{
	size_t size, padded;
	uint8_t *bytes = file_read_new(path, MAX_STATE_FILE, &size);
	uint8_t *argument;

	if (!bytes)
		return NULL;
	*ret_count = file->framing == COUNTED ? (uint32_t)(size / file->size) : 0;
	if (file->framing == PLAIN ? size < file->size : size % file->size) {
		fprintf(stderr, "rawdump: %s: %zu bytes do not fit %s\n", path, size,
			file->set_name);
		free(bytes);
		return NULL;
	}
	/* KVM reads a whole struct even where the saved one is shorter. */
	padded = size + 16384;
	argument = calloc(1, padded);
	if (!argument) {
		perror("rawdump: ioctl argument");
	} else if (file->framing == COUNTED) {
		memcpy(argument, ret_count, sizeof(*ret_count));
		memcpy(argument + 8, bytes, size);
	} else {
		memcpy(argument, bytes, size);
	}
	free(bytes);
	return argument;
}

/* 1: refused */
static int restore_one(const struct vm *vm, const struct state_file *file, const char *path,
		       struct refusal *ret_refusal)
{
	uint32_t count;
	void *argument = argument_new(file, path, &count);
	int expected = file->set == KVM_SET_MSRS ? (int)count : 0;
	int returned, error;

	if (!argument)
		return -1;
	returned = ioctl(vm->vcpu_fd, file->set, argument);
	error = errno;
	if (file->set == KVM_SET_MSRS && returned >= 0 && returned < expected)
		fprintf(stderr, "rawdump: KVM takes no value for MSR 0x%x\n",
			((struct kvm_msrs *)argument)->entries[returned].index);
	free(argument);
	if (returned == expected)
		return 0;
	ret_refusal->ioctl = file->set_name;
	ret_refusal->error = returned < 0 ? error : 0;
	ret_refusal->returned = returned;
	return 1;
}

int state_restore(const struct vm *vm, const char *dir, const char *const *order,
		  struct refusal *ret_refusal)
{
	for (; *order; order++) {
		const struct state_file *file = find_by_ioctl(*order);
		char *path;
		int result;

		if (!file) {
			fprintf(stderr, "rawdump: restore_order names %s, which is not known\n",
				*order);
			return -1;
		}
		path = path_new(dir, file->name);
		result = path ? restore_one(vm, file, path, ret_refusal) : -1;
		free(path);
		if (result)
			return result;
	}
	return 0;
}
