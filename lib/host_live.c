// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host profile of the running machine: proc and sys as in a captured tree, and what /dev/kvm
 * answers. Only questions are asked, all of them of the system file descriptor (Documentation/virt/
 * kvm/api.rst, "System ioctls"); no VM is made: host_probe.h does that.
 */
#include "host_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "error.h"

#if defined(__x86_64__)

#include <linux/kvm.h>

/*
 * Capabilities that decide what can be saved, restored and given to guests. The numbers are ABI (uapi
 * linux/kvm.h) and stand here so that an older header does not shorten the list.
 */
static const struct {
	const char *name;
	int number;
} capabilities[] = {
	{"KVM_CAP_NR_VCPUS", 9},
	{"KVM_CAP_NR_MEMSLOTS", 10},
	{"KVM_CAP_MP_STATE", 14},
	{"KVM_CAP_XEN_HVM", 38},
	{"KVM_CAP_ADJUST_CLOCK", 39},
	{"KVM_CAP_VCPU_EVENTS", 41},
	{"KVM_CAP_HYPERV", 44},
	{"KVM_CAP_HYPERV_VAPIC", 45},
	{"KVM_CAP_HYPERV_SPIN", 46},
	{"KVM_CAP_INTR_SHADOW", 49},
	{"KVM_CAP_DEBUGREGS", 50},
	{"KVM_CAP_XSAVE", 55},
	{"KVM_CAP_XCRS", 56},
	{"KVM_CAP_TSC_CONTROL", 60},
	{"KVM_CAP_GET_TSC_KHZ", 61},
	{"KVM_CAP_MAX_VCPUS", 66},
	{"KVM_CAP_TSC_DEADLINE_TIMER", 72},
	{"KVM_CAP_SYNC_REGS", 74},
	{"KVM_CAP_EXT_EMUL_CPUID", 95},
	{"KVM_CAP_HYPERV_TIME", 96},
	{"KVM_CAP_DISABLE_QUIRKS", 116},
	{"KVM_CAP_X86_SMM", 117},
	{"KVM_CAP_MULTI_ADDRESS_SPACE", 118},
	{"KVM_CAP_SPLIT_IRQCHIP", 121},
	{"KVM_CAP_HYPERV_SYNIC", 123},
	{"KVM_CAP_MAX_VCPU_ID", 128},
	{"KVM_CAP_X2APIC_API", 129},
	{"KVM_CAP_IMMEDIATE_EXIT", 136},
	{"KVM_CAP_X86_DISABLE_EXITS", 143},
	{"KVM_CAP_HYPERV_SYNIC2", 148},
	{"KVM_CAP_HYPERV_VP_INDEX", 149},
	{"KVM_CAP_GET_MSR_FEATURES", 153},
	{"KVM_CAP_HYPERV_TLBFLUSH", 155},
	{"KVM_CAP_NESTED_STATE", 157},
	{"KVM_CAP_HYPERV_SEND_IPI", 161},
	{"KVM_CAP_HYPERV_ENLIGHTENED_VMCS", 163},
	{"KVM_CAP_EXCEPTION_PAYLOAD", 164},
	{"KVM_CAP_HYPERV_CPUID", 167},
	{"KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", 168},
	{"KVM_CAP_HYPERV_DIRECT_TLBFLUSH", 175},
	{"KVM_CAP_SMALLER_MAXPHYADDR", 185},
	{"KVM_CAP_X86_USER_SPACE_MSR", 188},
	{"KVM_CAP_X86_MSR_FILTER", 189},
	{"KVM_CAP_SYS_HYPERV_CPUID", 191},
	{"KVM_CAP_DIRTY_LOG_RING", 192},
	{"KVM_CAP_X86_BUS_LOCK_EXIT", 193},
	{"KVM_CAP_SGX_ATTRIBUTE", 196},
	{"KVM_CAP_VM_COPY_ENC_CONTEXT_FROM", 197},
	{"KVM_CAP_HYPERV_ENFORCE_CPUID", 199},
	{"KVM_CAP_SREGS2", 200},
	{"KVM_CAP_EXIT_HYPERCALL", 201},
	{"KVM_CAP_BINARY_STATS_FD", 203},
	{"KVM_CAP_EXIT_ON_EMULATION_FAILURE", 204},
	{"KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM", 206},
	{"KVM_CAP_XSAVE2", 208},
	{"KVM_CAP_SYS_ATTRIBUTES", 209},
	{"KVM_CAP_PMU_CAPABILITY", 212},
	{"KVM_CAP_DISABLE_QUIRKS2", 213},
	{"KVM_CAP_VM_TSC_CONTROL", 214},
	{"KVM_CAP_X86_TRIPLE_FAULT_EVENT", 218},
	{"KVM_CAP_X86_NOTIFY_VMEXIT", 219},
	{"KVM_CAP_VM_DISABLE_NX_HUGE_PAGES", 220},
	{"KVM_CAP_DIRTY_LOG_RING_ACQ_REL", 223},
	{"KVM_CAP_MEMORY_FAULT_INFO", 232},
	{"KVM_CAP_MEMORY_ATTRIBUTES", 233},
	{"KVM_CAP_GUEST_MEMFD", 234},
	{"KVM_CAP_VM_TYPES", 235},
	{"KVM_CAP_PRE_FAULT_MEMORY", 236},
	{"KVM_CAP_X86_APIC_BUS_CYCLES_NS", 237},
	{"KVM_CAP_X86_GUEST_MODE", 238},
};

static enum nestmig_error open_kvm(int *ret_fd, struct nestmig_detail *detail)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return nm_fail_errno(detail, "cannot open /dev/kvm: be root or in the group that "
					     "owns it");
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "this machine has no KVM (/dev/kvm: %s); load kvm_amd or kvm_intel, "
			       "or use a saved profile or a captured tree of another host",
			       strerror(errno));
	if (fd < 0)
		return nm_fail_errno(detail, "cannot open /dev/kvm");
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "/dev/kvm answers API version %d instead of %d", version,
			       KVM_API_VERSION);
	}
	*ret_fd = fd;
	return NESTMIG_OK;
}

static enum nestmig_error ask_caps(struct nestmig_host *host, int kvm,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]) && !error; i++) {
		int value = ioctl(kvm, KVM_CHECK_EXTENSION, capabilities[i].number);

		if (value >= 0)
			error = nm_host_set_cap(host, capabilities[i].name, (uint32_t)value,
						detail);
	}
	return error;
}

typedef enum nestmig_error add_cpuid(struct nestmig_host *host,
				     const struct nm_cpuid_entry *entries, size_t count);

static enum nestmig_error keep_cpuid(struct nestmig_host *host, const struct kvm_cpuid2 *list,
				     add_cpuid *add, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (uint32_t i = 0; i < list->nent && !error; i++) {
		const struct kvm_cpuid_entry2 *from = &list->entries[i];
		struct nm_cpuid_entry entry = {
			.function = from->function,
			.index = from->index,
			.flags = from->flags,
			.eax = from->eax,
			.ebx = from->ebx,
			.ecx = from->ecx,
			.edx = from->edx,
		};

		error = add(host, &entry, 1);
	}
	return error ? nm_fail(detail, error, "cannot keep the CPUID entries") : NESTMIG_OK;
}

/* KVM_GET_SUPPORTED_CPUID and KVM_GET_EMULATED_CPUID say E2BIG until the buffer is large enough. */
static enum nestmig_error ask_cpuid(struct nestmig_host *host, int kvm, unsigned long question,
				    add_cpuid *add, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	struct kvm_cpuid2 *list = NULL;
	int failed = -1;

	for (uint32_t room = 64; room <= NM_HOST_CPUID_MAX && failed; room *= 2) {
		free(list);
		list = calloc(1, sizeof(*list) + room * sizeof(list->entries[0]));
		if (!list)
			return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
		list->nent = room;
		failed = ioctl(kvm, question, list);
		if (failed && errno != E2BIG)
			break;
	}
	if (!failed)
		error = keep_cpuid(host, list, add, detail);
	free(list);
	return error;
}

/* One MSR at a time: KVM_GET_MSRS stops at the first that it cannot read. */
static enum nestmig_error ask_msr(struct nestmig_host *host, int kvm, uint32_t index)
{
	union {
		struct kvm_msrs list;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = {.list = {.nmsrs = 1}};
	struct kvm_msr_entry entry = {.index = index};
	struct nm_msr msr;

	memcpy(one.bytes + sizeof(one.list), &entry, sizeof(entry));
	if (ioctl(kvm, KVM_GET_MSRS, &one) != 1)
		return NESTMIG_OK;
	memcpy(&entry, one.bytes + sizeof(one.list), sizeof(entry));
	msr = (struct nm_msr){.index = index, .value = entry.data};
	return nm_host_add_msrs(host, &msr, 1);
}

static enum nestmig_error ask_msrs(struct nestmig_host *host, int kvm,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + NM_HOST_MSRS_MAX * sizeof(uint32_t));

	if (!list)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	list->nmsrs = NM_HOST_MSRS_MAX;
	if (ioctl(kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, list) < 0)
		list->nmsrs = 0; /* before Linux 4.17, or more than anyone has: unknown */
	for (uint32_t i = 0; i < list->nmsrs && !error; i++)
		error = ask_msr(host, kvm, list->indices[i]);
	free(list);
	return error ? nm_fail(detail, error, "cannot keep the feature MSRs") : NESTMIG_OK;
}

/* The MSRs that a VMM saves and restores. */
static enum nestmig_error ask_saved_msrs(struct nestmig_host *host, int kvm,
					 struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + NM_HOST_MSRS_MAX * sizeof(uint32_t));

	if (!list)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	list->nmsrs = NM_HOST_MSRS_MAX;
	if (ioctl(kvm, KVM_GET_MSR_INDEX_LIST, list) < 0)
		list->nmsrs = 0;
	for (uint32_t i = 0; i < list->nmsrs && !error; i++)
		error = nm_host_add_saved_msr(host, list->indices[i]);
	free(list);
	return error ? nm_fail(detail, error, "cannot keep the list of MSRs") : NESTMIG_OK;
}

static enum nestmig_error ask_kvm(struct nestmig_host *host, struct nestmig_detail *detail)
{
	int kvm = -1;
	enum nestmig_error error = open_kvm(&kvm, detail);

	if (error)
		return error;
	error = ask_caps(host, kvm, detail);
	if (!error)
		error = ask_msrs(host, kvm, detail);
	if (!error)
		error = ask_cpuid(host, kvm, KVM_GET_SUPPORTED_CPUID, nm_host_add_cpuid, detail);
	if (!error)
		error = ask_cpuid(host, kvm, KVM_GET_EMULATED_CPUID, nm_host_add_emulated, detail);
	if (!error)
		error = ask_saved_msrs(host, kvm, detail);
	close(kvm);
	return error;
}

#else

static enum nestmig_error ask_kvm(struct nestmig_host *host, struct nestmig_detail *detail)
{
	(void)host;
	return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
		       "nested VMX and SVM exist on x86-64 only; use a saved profile or a captured "
		       "tree of such a host");
}

#endif

/* Without proc, uname(2) still tells the release. */
static enum nestmig_error ask_uname(struct nestmig_host *host, struct nestmig_detail *detail)
{
	struct utsname name;

	if (host->kernel || uname(&name) < 0)
		return NESTMIG_OK;
	return nm_host_set_kernel(host, name.release, strlen(name.release), detail);
}

enum nestmig_error nestmig_host_live(struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	struct nm_host_root root = {.fd = -1, .prefix = "/"};
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nm_host_new(&host, detail);

	if (error)
		return error;
	root.fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (root.fd < 0) {
		error = nm_fail_errno(detail, "cannot open directory /");
		goto fail;
	}
	error = nm_host_read_system(host, &root, detail);
	close(root.fd);
	if (!error)
		error = ask_uname(host, detail);
	if (!error)
		error = ask_kvm(host, detail);
	if (error)
		goto fail;
	nm_host_finish(host);
	*ret_host = host;
	return NESTMIG_OK;
fail:
	nestmig_host_free(host);
	return error;
}
