/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct nestmig_host from the inside. */
#ifndef NESTMIG_HOST_H
#define NESTMIG_HOST_H

#include "nestmig.h"
#include "state.h"
#include "view.h"

/* NAME=VALUE: a module parameter ("kvm_amd.npt", "1") or a capability ("KVM_CAP_NESTED_STATE"). */
struct nm_named_value {
	char *name, *value; /* owned */
};

struct nm_named_list {
	struct nm_named_value *entries; /* owned */
	size_t count;
};

struct nestmig_host {
	struct nestmig_host_view view; /* made from what follows by nm_host_finish */
	char *kernel;                  /* release, as uname -r, or NULL */
	struct nm_named_value *params;
	size_t param_count;
	struct nm_named_value *caps;
	size_t cap_count;
	struct nm_cpuid_entry *cpuid; /* KVM_GET_SUPPORTED_CPUID */
	size_t cpuid_count;
	struct nm_msr *msrs; /* feature MSRs of the system fd */
	size_t msr_count;
	/* What rules do not read, but comparisons and advisories do (nestmig-host-profile(5)). */
	struct nm_named_list facts;  /* of distribution, processor and clock: "os.id", "tsc.khz" */
	struct nm_named_list probes; /* what a scratch VM did: "l2-state" "accepted" */
	struct nm_named_list changelog;  /* of the kernel's package: an advisory's id, and "has",
					   "lacks" or "reverted" */
	struct nm_cpuid_entry *emulated; /* KVM_GET_EMULATED_CPUID */
	size_t emulated_count;
	uint32_t *saved_msrs; /* KVM_GET_MSR_INDEX_LIST: what a VMM saves and restores */
	size_t saved_msr_count;
};

/*
 * Fills host->view from the rest: vendor, kernel version, parameters, capabilities, CPUID words,
 * and in view.have which of them are known. A parameter that is not listed stays unknown.
 */
void nm_host_finish(struct nestmig_host *host);

/* A host from the pieces of a raw dump's meta.json: kernel release and params such as
 * "nested=1 npt=0". NULL: not known. */
NESTMIG_CHECKED enum nestmig_error nm_host_from_parts(enum nestmig_vendor vendor,
						      const char *kernel, const char *params,
						      struct nestmig_host **ret_host,
						      struct nestmig_detail *detail);

/* Adds what host_msrs and cpuid of a raw dump say; the arrays are copied. */
NESTMIG_CHECKED enum nestmig_error
nm_host_add_cpuid(struct nestmig_host *host, const struct nm_cpuid_entry *entries, size_t count);
NESTMIG_CHECKED enum nestmig_error nm_host_add_msrs(struct nestmig_host *host,
						    const struct nm_msr *msrs, size_t count);

/* A copy; and a profile from JSON text of a given length (not NUL-terminated). */
NESTMIG_CHECKED enum nestmig_error nm_host_dup(const struct nestmig_host *host,
					       struct nestmig_host **ret_host);
NESTMIG_CHECKED enum nestmig_error nm_host_parse(const char *text, size_t length,
						 struct nestmig_host **ret_host,
						 struct nestmig_detail *detail);

#endif
