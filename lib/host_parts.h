/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What host.c, host_files.c, host_live.c, host_json.c and host_text.c share and nothing else uses:
 * limits, and the ways to put one fact into a profile with its checks.
 *
 * The limits are far above what KVM ever says (256 CPUID entries, 256 feature MSRs, some 60 module
 * parameters), and low enough that every profile that can be built can be saved and loaded again.
 */
#ifndef NESTMIG_HOST_PARTS_H
#define NESTMIG_HOST_PARTS_H

#include "host.h"

#define NM_HOST_JSON_MAX   (1024 * 1024) /* bytes of a saved profile */
#define NM_HOST_JSON_DEPTH 32            /* nested arrays and objects of a saved profile */
#define NM_HOST_PARAMS_MAX 512
#define NM_HOST_CAPS_MAX   512
#define NM_HOST_CPUID_MAX  1024
#define NM_HOST_MSRS_MAX   1024
#define NM_HOST_LIST_MAX   512 /* entries of facts, probes or changelog */
#define NM_HOST_NAME_MAX   128 /* bytes of a parameter's or capability's name */
#define NM_HOST_VALUE_MAX  256 /* bytes of a parameter's value */
#define NM_HOST_KERNEL_MAX 128 /* bytes of a kernel release; uname(2) has 64 */

#define NM_HOST_SCHEMA     "nestmig.host/1"

/* A profile that knows nothing yet. Errors: NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_new(struct nestmig_host **ret_host,
					       struct nestmig_detail *detail);

/* Sets or adds NAME=VALUE in a list that has at most limit entries; both are copied. Errors: LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_set_named(struct nm_named_value **list, size_t *count,
						     size_t limit, const char *name,
						     const char *value,
						     struct nestmig_detail *detail);

/*
 * The index of the first of length bytes that is no printable ASCII (with spaces: 0x20 too), or
 * length. Text of a profile is printed on terminals, so nothing else gets in.
 */
size_t nm_host_text_length(const char *text, size_t length, bool spaces);

/* Sets the kernel release from length bytes. Errors: FORMAT, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_set_kernel(struct nestmig_host *host,
						      const char *release, size_t length,
						      struct nestmig_detail *detail);

/*
 * Sets a module parameter; the last one of a name counts. module is "kvm", "kvm_amd", ..., or NULL
 * when name is complete already. Errors: FORMAT, LIMIT, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_set_param(struct nestmig_host *host, const char *module,
						     const char *name, const char *value,
						     struct nestmig_detail *detail);

/* Sets what KVM_CHECK_EXTENSION answered; "KVM_CAP_" is put before the name where it is not there.
 * Errors: FORMAT, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_set_cap(struct nestmig_host *host, const char *name,
						   uint32_t value, struct nestmig_detail *detail);

/*
 * Sets an entry of a list; the last one of a name counts. Names are letters, digits, '_', '-' and '.',
 * values printable ASCII with spaces. Errors: FORMAT, LIMIT, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_put(struct nm_named_list *list, const char *name,
					       const char *value, struct nestmig_detail *detail);

/* The value of a name in a list, or NULL. */
const char *nm_host_get(const struct nm_named_list *list, const char *name);

/* Adds entries of KVM_GET_EMULATED_CPUID, and indices of KVM_GET_MSR_INDEX_LIST; both are copied. An index
 * that is there already is passed over. Errors: LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error
nm_host_add_emulated(struct nestmig_host *host, const struct nm_cpuid_entry *entries, size_t count);
NESTMIG_CHECKED enum nestmig_error nm_host_add_saved_msr(struct nestmig_host *host, uint32_t index);

/* The value of a parameter of a module (or of one whose module is not known), or NULL. */
const char *nm_host_param(const struct nestmig_host *host, const char *module, const char *name);

/* A boolean parameter as sysfs shows it: bools as Y and N, ints as 1 and 0. -1: not known. */
int nm_host_param_bool(const struct nestmig_host *host, const char *module, const char *name);

/* The value of a capability by its full name, or NULL. */
const char *nm_host_cap(const struct nestmig_host *host, const char *name);

/* The value of a feature MSR, or NULL. */
const struct nm_msr *nm_host_msr(const struct nestmig_host *host, uint32_t index);

/* MAXPHYADDR in bits, or 0 when it is not known. */
unsigned nm_host_maxphyaddr(const struct nestmig_host *host);

/* "kvm_amd" or "kvm_intel"; NULL for an unknown vendor. */
const char *nm_host_module(enum nestmig_vendor vendor);

/* "amd", "intel" or "unknown"; and the other way round, UNKNOWN for anything else. */
const char *nm_host_vendor_name(enum nestmig_vendor vendor);
enum nestmig_vendor nm_host_vendor_named(const char *name);

/* The vendor of a CPUID vendor string ("AuthenticAMD") of 12 bytes, or UNKNOWN. */
enum nestmig_vendor nm_host_vendor_of_id(const char *id);

/* Where a directory tree starts: an open directory, and what to put before names in messages. */
struct nm_host_root {
	int fd;
	const char *prefix; /* "/" for the running system, "" below a captured tree */
};

/* Is there a file or directory of this name? It is not opened for anything, as the sandbox wants it. */
bool nm_host_has_file(const struct nm_host_root *root, const char *path);

/*
 * Opens or reads a file below root. NOT_FOUND: it is not there or may not be read. The rest as
 * nm_host_read_fd. _line: one line of printable text, without its newline (FORMAT for another); ret_text
 * is the caller's.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_open_file(const struct nm_host_root *root,
						     const char *path, int *ret_fd,
						     struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error nm_host_read_file(const struct nm_host_root *root,
						     const char *path, size_t limit, bool head,
						     char **ret_text, size_t *ret_size,
						     struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error nm_host_read_line(const struct nm_host_root *root,
						     const char *path, size_t limit,
						     char **ret_text,
						     struct nestmig_detail *detail);

/* Fills host->facts from files below root. What is not there, or is not what it should be, stays unknown.
 * Errors: IO, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nm_host_read_facts(struct nestmig_host *host,
						      const struct nm_host_root *root,
						      struct nestmig_detail *detail);

/*
 * Takes the kernel release, the module parameters and the vendor from proc and sys below root.
 * Files that are not there, or that may not be read, leave their facts unknown. Errors: FORMAT,
 * LIMIT (detail names the file and the offset), IO, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_read_system(struct nestmig_host *host,
						       const struct nm_host_root *root,
						       struct nestmig_detail *detail);

/*
 * Reads an open regular file of at most limit bytes; name is for messages. ret_text is owned by the
 * caller and has a NUL after ret_size bytes. With head, a longer file gives its first limit bytes.
 * The descriptor stays open. Errors: FORMAT (not a regular file), LIMIT, IO, NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_read_fd(int fd, const char *name, size_t limit,
						   bool head, char **ret_text, size_t *ret_size,
						   struct nestmig_detail *detail);

#endif
