// SPDX-License-Identifier: GPL-2.0-or-later
/* The host's own answers, as files: supported_cpuid, feature_msrs, capabilities. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rawdump.h"

#define PARAMETER_MAX 4096

enum vendor host_vendor(void)
{
	static int intel = -1;

	if (intel < 0)
		intel = !access("/sys/module/kvm_intel", F_OK);
	return intel ? VENDOR_INTEL : VENDOR_AMD;
}

const char *host_module(void)
{
	return host_vendor() == VENDOR_INTEL ? "/sys/module/kvm_intel/parameters"
					     : "/sys/module/kvm_amd/parameters";
}

bool host_parameter(const char *name)
{
	char *path = path_new(host_module(), name), *value = NULL;
	size_t size;
	bool on;

	if (path)
		value = file_read_new(path, PARAMETER_MAX, &size);
	on = value && (value[0] == 'Y' || value[0] == '1');
	free(value);
	free(path);
	return on;
}

struct capability {
	const char *name;
	int number;
};

#define CAPABILITY(name)                                                                           \
	{                                                                                          \
#name, name                                                                        \
	}

static const struct capability capabilities[] = {
	CAPABILITY(KVM_CAP_NESTED_STATE),      CAPABILITY(KVM_CAP_SREGS2),
	CAPABILITY(KVM_CAP_EXCEPTION_PAYLOAD), CAPABILITY(KVM_CAP_X86_TRIPLE_FAULT_EVENT),
	CAPABILITY(KVM_CAP_X86_SMM),           CAPABILITY(KVM_CAP_VCPU_EVENTS),
	CAPABILITY(KVM_CAP_DEBUGREGS),         CAPABILITY(KVM_CAP_NR_MEMSLOTS),
};

static int save_capabilities(int kvm_fd, const char *path)
{
	char text[1024];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s %d\n", capabilities[i].name,
			ioctl(kvm_fd, KVM_CHECK_EXTENSION, capabilities[i].number));
	return file_write(path, text, used);
}

static int save_supported_cpuid(int kvm_fd, const char *path)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid_new(kvm_fd);
	int failed;

	if (!cpuid)
		return -1;
	failed = file_write(path, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	free(cpuid);
	return failed;
}

int host_save(int kvm_fd, const char *dir)
{
	static const struct {
		const char *name;
		int (*save)(int kvm_fd, const char *path);
	} files[] = {
		{"supported_cpuid", save_supported_cpuid},
		{"feature_msrs", feature_msrs_save},
		{"capabilities", save_capabilities},
	};

	if (dir_make(dir))
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_new(dir, files[i].name);
		int failed = path ? files[i].save(kvm_fd, path) : -1;

		free(path);
		if (failed)
			return -1;
	}
	return 0;
}
