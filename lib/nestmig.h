/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libnestmig: will a saved nested vCPU resume on a host, what happens if not, and which rules say
 * so.
 *
 * The order of use: read a state (nestmig_state_read), get a host profile (nestmig_host_*), judge
 * the one for the other (nestmig_judge), render the report (nestmig_report_text, _json).
 *
 * Conventions:
 * - Every function that can fail returns enum nestmig_error. Results go to ret_x parameters, which
 *   are untouched on failure. `detail` may be NULL; else it is filled on failure only.
 * - The library never prints, never exits and has no mutable globals. Different threads may use
 *   different objects at the same time; one object belongs to one thread at a time.
 * - _free(NULL) is legal. Text is returned in malloc'd, NUL-terminated strings that the caller
 * frees.
 * - Input is never trusted: any file may be given to nestmig_state_read.
 */
#ifndef NESTMIG_H
#define NESTMIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NESTMIG_CHECKED __attribute__((warn_unused_result))

/* What follows is exported, whatever the caller's compiler hides by default. */
#pragma GCC visibility push(default)

/* The version of the library, "MAJOR.MINOR.PATCH". */
const char *nestmig_version(void);

/* ---- Errors ---------------------------------------------------------------------------------- */

enum nestmig_error {
	NESTMIG_OK = 0,
	NESTMIG_ERR_IO,     /* a system call failed; detail.sys_errno says how */
	NESTMIG_ERR_NOMEM,  /* out of memory */
	NESTMIG_ERR_FORMAT, /* the bytes are not what the format allows; detail.offset says where */
	NESTMIG_ERR_TRUNCATED,   /* the file ends before the format does */
	NESTMIG_ERR_CHECKSUM,    /* a checksum does not match */
	NESTMIG_ERR_UNSUPPORTED, /* a known format or feature that this version does not handle */
	NESTMIG_ERR_LIMIT,       /* a length or count beyond what is sensible for the format */
	NESTMIG_ERR_INVALID,     /* a wrong argument of the caller */
	NESTMIG_ERR_NOT_FOUND,   /* no such file, field, rule or item */
	NESTMIG_ERR_CAPABILITY,  /* this host or QEMU lacks what the operation needs */
	NESTMIG_ERR_QMP,         /* QEMU answered with an error, or closed the connection */
	NESTMIG_ERR_TIMEOUT,     /* no answer in time */
	NESTMIG_ERR_CANCELLED,   /* the caller's progress function asked to stop */
	NESTMIG_ERR_LIBVIRT,     /* libvirt refused or failed */
};

/* Where and why something failed. Plain data, no ownership. */
struct nestmig_detail {
	bool has_offset;
	uint64_t offset; /* bytes from the start of the file, if has_offset */
	int sys_errno;   /* errno of the failed system call, or 0 */
	char text[400];  /* one sentence: what, which field, what to do; no newline */
};

/* A short lower-case word for an error: "io", "format", ...; never NULL. */
const char *nestmig_error_name(enum nestmig_error error);

/* ---- Saved state ----------------------------------------------------------------------------- */

struct nestmig_state;

/* Flags of nestmig_state_read. */
#define NESTMIG_READ_SKIP_RAM_CHECKSUM 0x1 /* .nms: verify all but the RAM frames; and QUICK */
#define NESTMIG_READ_QUICK             0x2 /* QEMU streams: do not pass over all of RAM; see below */

/*
 * Reads a saved state: a QEMU migration stream (full or device-only; plain, or compressed with gzip, bzip2,
 * xz, lzop or zstd), a libvirt save image, the internal snapshot of a qcow2 image, a cloud-hypervisor
 * snapshot directory, a raw KVM dump directory or a nestmig snapshot (.nms). The kind is recognised by
 * content.
 *
 * The devices of a QEMU stream are found from its end, and the headers of all RAM pages before them are passed
 * over, since devices that QEMU would load instead might stand there. With NESTMIG_READ_QUICK at most 4 MiB of
 * them are: then, if RAM is left over, no verdict on the state is NESTMIG_VERDICT_OK, and what takes its place
 * is NESTMIG_VERDICT_UNKNOWN. The same holds where something between is not understood. Else RAM is not read,
 * but for checking the checksums of an .nms unless NESTMIG_READ_SKIP_RAM_CHECKSUM, and for the pages that rules
 * read where a vCPU is in SMM or loads PDPTEs: with a QEMU stream that takes another pass over the headers.
 * What is compressed is unpacked again where it has to be read again, in memory that does not depend on its
 * size.
 * The object keeps the file open until it is freed.
 *
 * Errors: IO, FORMAT, TRUNCATED, CHECKSUM, UNSUPPORTED, LIMIT, NOMEM, INVALID (flags).
 */
NESTMIG_CHECKED enum nestmig_error nestmig_state_read(const char *path, unsigned flags,
						      struct nestmig_state **ret_state,
						      struct nestmig_detail *detail);

/*
 * The same of one snapshot of a file that has several: of a qcow2 image the internal snapshot whose name or
 * id is `snapshot`. NULL is what nestmig_state_read does: the only one with VM state.
 * Errors: also NOT_FOUND (no such snapshot, or it has no VM state), INVALID (the name fits several, none
 * is given where there are several, or the file is of a kind that has none; the text lists what there is).
 */
NESTMIG_CHECKED enum nestmig_error nestmig_state_read_named(const char *path, unsigned flags,
							    const char *snapshot,
							    struct nestmig_state **ret_state,
							    struct nestmig_detail *detail);

void nestmig_state_free(struct nestmig_state *state);

/* "qemu-stream", "qemu-device-state" (either may be compressed in the file), "libvirt-save", "qcow2-snapshot",
 * "cloud-hypervisor", "raw-dump" or "nms". The string lives as long as the state. */
const char *nestmig_state_format(const struct nestmig_state *state);

size_t nestmig_state_vcpu_count(const struct nestmig_state *state);

/* Bytes read from the file so far: with NESTMIG_READ_QUICK it does not depend on the size of a QEMU stream's
 * RAM, unless a vCPU is in SMM or rules need its PDPTEs. */
uint64_t nestmig_state_bytes_read(const struct nestmig_state *state);

/*
 * The order in which the destination's VMM will restore the vCPUs, which decides what bites first:
 * names of ioctls, separated by commas or spaces ("KVM_SET_SREGS2,KVM_SET_NESTED_STATE"; the prefix may
 * be missing, case does not matter), or one of the names "qemu" (as QEMU 7.2) and "selftests" (CPUID,
 * MSRS, SREGS2, REGS, XSAVE, VCPU_EVENTS, MP_STATE, DEBUGREGS, NESTED_STATE). Ioctls that are not named
 * follow in QEMU's order. The default is what a raw dump says, else "qemu".
 * Errors: INVALID (a name that is no ioctl of a restore; the order stays as it was), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nestmig_state_set_restore_order(struct nestmig_state *state,
								   const char *order,
								   struct nestmig_detail *detail);

/* A readable decode of all vCPUs; colour says whether to use terminal colours. */
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_text(const struct nestmig_state *state,
							bool colour, char **ret_text);

/* The same as one JSON document in one line, schema "nestmig.inspect/1". */
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_json(const struct nestmig_state *state,
							char **ret_text);

/* The same two of the SMRAM only: what RSM will load of a vCPU in SMM, or why that is not known. */
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_smram_text(const struct nestmig_state *state,
							      bool colour, char **ret_text);
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_smram_json(const struct nestmig_state *state,
							      char **ret_text);

/*
 * libvirt's domain XML and the cookie behind it, as they stand in the file; in the text control characters
 * are escaped. The JSON has the schema "nestmig.xml/1". Errors: NOT_FOUND (a file without), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_xml_text(const struct nestmig_state *state,
							    char **ret_text,
							    struct nestmig_detail *detail);
NESTMIG_CHECKED enum nestmig_error nestmig_inspect_xml_json(const struct nestmig_state *state,
							    char **ret_text,
							    struct nestmig_detail *detail);

/*
 * One field of one vCPU by name ("vmcb12.control.asid", "sregs.cr0", "sregs.cs.base"): its value,
 * width in bytes and byte offset in the file, of an .nms, a libvirt save image
 * or a compressed file in the stream inside (UINT64_MAX where it
 * has none of its own). Errors: NOT_FOUND (no such field, or its item is absent: detail says
 * which), INVALID (vcpu).
 */
NESTMIG_CHECKED enum nestmig_error nestmig_field(const struct nestmig_state *state, size_t vcpu,
						 const char *name, uint64_t *ret_value,
						 unsigned *ret_width, uint64_t *ret_offset,
						 struct nestmig_detail *detail);

/*
 * The undecoded bytes of an item ("vmcb12", "nested_state", ...) of one vCPU, as they stand in the
 * file. The bytes live as long as the state. Errors: NOT_FOUND, INVALID.
 */
NESTMIG_CHECKED enum nestmig_error nestmig_item_bytes(const struct nestmig_state *state,
						      size_t vcpu, const char *name,
						      const uint8_t **ret_bytes, size_t *ret_size,
						      struct nestmig_detail *detail);

/* ---- Host profile ---------------------------------------------------------------------------- */

struct nestmig_host;

/* The profile of this machine, from /proc, /sys and /dev/kvm. What is missing stays unknown.
 * Errors: CAPABILITY (no KVM here), IO, NOMEM; FORMAT, LIMIT for files of /sys that are broken. */
NESTMIG_CHECKED enum nestmig_error nestmig_host_live(struct nestmig_host **ret_host,
						     struct nestmig_detail *detail);

/* The same from a captured directory tree: ROOT/proc, ROOT/sys and ROOT/kvm (nestmig-host(1)).
 * Errors: IO, NOT_FOUND (none of the three), FORMAT, LIMIT, NOMEM. */
NESTMIG_CHECKED enum nestmig_error
nestmig_host_tree(const char *root, struct nestmig_host **ret_host, struct nestmig_detail *detail);

/* A profile saved as JSON, schema "nestmig.host/1".
 * Errors: IO, FORMAT, LIMIT, UNSUPPORTED (a newer schema), NOMEM. */
NESTMIG_CHECKED enum nestmig_error
nestmig_host_load(const char *path, struct nestmig_host **ret_host, struct nestmig_detail *detail);

/* The host that a state brings with it: meta.json of a raw dump, the source host of an .nms.
 * Errors: NOT_FOUND if it brings none, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nestmig_host_of_state(const struct nestmig_state *state,
							 struct nestmig_host **ret_host,
							 struct nestmig_detail *detail);

void nestmig_host_free(struct nestmig_host *host);

NESTMIG_CHECKED enum nestmig_error nestmig_host_text(const struct nestmig_host *host,
						     char **ret_text);
NESTMIG_CHECKED enum nestmig_error nestmig_host_json(const struct nestmig_host *host,
						     char **ret_text);

/* ---- Judging --------------------------------------------------------------------------------- */

struct nestmig_report;

enum nestmig_verdict { NESTMIG_VERDICT_OK, NESTMIG_VERDICT_UNKNOWN, NESTMIG_VERDICT_FAIL };

/*
 * Judges every vCPU of a state by every rule, for a host. host may be NULL: then rules that need to
 * know the host are unknown. All broken rules are found, never just the first.
 * The report does not refer to state or host afterwards. Errors: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nestmig_judge(const struct nestmig_state *state,
						 const struct nestmig_host *host,
						 struct nestmig_report **ret_report);

void nestmig_report_free(struct nestmig_report *report);

enum nestmig_verdict nestmig_report_verdict(const struct nestmig_report *report);

/* "ok", "unknown" or "fail". */
const char *nestmig_verdict_name(enum nestmig_verdict verdict);

/* One line of JSON, schema "nestmig.report/1"; file is the name to put into it. */
NESTMIG_CHECKED enum nestmig_error nestmig_report_json(const struct nestmig_report *report,
						       const char *file, char **ret_text);
NESTMIG_CHECKED enum nestmig_error nestmig_report_text(const struct nestmig_report *report,
						       const char *file, bool colour,
						       char **ret_text);

/* A file of an HTML page; all of it stays the caller's. */
struct nestmig_html_file {
	const char *name; /* to be shown; may be any bytes */
	const struct nestmig_state *state;
	const struct nestmig_report *report; /* made from state */
};

/*
 * One HTML page on one file, or on two and what differs between them. It needs nothing but itself: no
 * script, no network, no other file. All text from files is escaped. The same input makes the same page.
 * It shows guest registers and the fields of the nested state, no guest memory.
 * Errors: NOMEM, INVALID (count is neither 1 nor 2, or a report is not of its state).
 */
NESTMIG_CHECKED enum nestmig_error nestmig_report_html(const struct nestmig_html_file *files,
						       size_t count, char **ret_text);

/* ---- Rules ----------------------------------------------------------------------------------- */

size_t nestmig_rule_count(void);
const char *nestmig_rule_id(size_t index);

/* All rules: a table, or one JSON document a line. */
NESTMIG_CHECKED enum nestmig_error nestmig_rules_text(char **ret_text);
NESTMIG_CHECKED enum nestmig_error nestmig_rules_json(char **ret_text);

/* Explains one rule, or says of a condition of the catalogue why no rule judges it.
 * Errors: NOT_FOUND, NOMEM. */
NESTMIG_CHECKED enum nestmig_error nestmig_explain(const char *id, bool json, char **ret_text,
						   struct nestmig_detail *detail);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
