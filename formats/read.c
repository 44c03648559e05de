// SPDX-License-Identifier: LGPL-2.1-or-later
/* Recognising a saved state by its content, and handing it to its reader. */
#include <sys/stat.h>

#include "bytes.h"
#include "cloud_hypervisor.h"
#include "error.h"
#include "foreign.h"
#include "nms.h"
#include "qcow2.h"
#include "qemu.h"
#include "rawdump.h"
#include "reader.h"
#include "source.h"

/* Known beginnings of other files, for a better answer than "unknown". */
static const struct {
	const char *magic, *what;
	size_t length;
} others[] = {
#define OTHER(bytes, what)                                                                         \
	{                                                                                          \
		bytes, what, sizeof(bytes) - 1                                                     \
	}
	OTHER("LibvirtQemudSave", "a libvirt save image"),
	OTHER("LibvirtQemudPart", "an unfinished libvirt save image"),
	OTHER("\x28\xb5\x2f\xfd", "a zstd file (unpack it first)"),
	OTHER("\x1f\x8b", "a gzip file (unpack it first)"),
	OTHER("\xfd\x37zXZ", "an xz file (unpack it first)"),
	OTHER("BZh", "a bzip2 file (unpack it first)"),
	OTHER("\x89LZO", "an lzop file (unpack it first)"),
#undef OTHER
};

static enum nestmig_error unknown(const uint8_t *head, size_t size, struct nestmig_detail *detail)
{
	const char *reason = nm_foreign_reason(head, size);

	if (reason)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 0, "%s", reason);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (size >= others[i].length &&
		    __builtin_memcmp(head, others[i].magic, others[i].length) == 0)
			return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 0,
					  "this is %s, which this version does not read",
					  others[i].what);
	return nm_fail_at(
		detail, NESTMIG_ERR_UNSUPPORTED, 0,
		"no saved state that nestmig knows: neither a QEMU migration stream, a qcow2 "
		"image, a nestmig snapshot, a cloud-hypervisor snapshot nor a raw KVM dump "
		"directory");
}

static bool is_qemu(const uint8_t *head, size_t size)
{
	return size >= 4 && nm_be32(head) == NM_QEMU_MAGIC;
}

static enum nestmig_error read_qemu(struct nestmig_state *state, struct nm_source *source,
				    unsigned flags, struct nestmig_detail *detail)
{
	(void)flags;
	state->stream = source;
	return nm_qemu_read(state, source, detail);
}

/* Files by their first bytes; directories by what is in them. */
static const struct nm_reader readers[] = {
	{nm_nms_recognise, nm_nms_read},
	{is_qemu, read_qemu},
	{nm_qcow2_recognise, nm_qcow2_read},
};

static enum nestmig_error no_snapshots(struct nestmig_detail *detail)
{
	return nm_fail(detail, NESTMIG_ERR_INVALID,
		       "a snapshot is named, but only a qcow2 image has snapshots inside");
}

static enum nestmig_error read_file(struct nestmig_state *state, const char *path, unsigned flags,
				    struct nestmig_detail *detail)
{
	struct nm_source *source = NULL;
	uint8_t head[NM_HEAD_SIZE] = {0};
	enum nestmig_error error = nm_source_open(path, &source, detail);
	size_t size;

	if (!error)
		error = nm_state_add_source(state, source, detail);
	if (error)
		return error;
	size = nm_source_size(source) < sizeof(head) ? (size_t)nm_source_size(source)
						     : sizeof(head);
	error = nm_source_read(source, 0, head, size, detail);
	if (error)
		return error;
	if (size == 0)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, 0, "the file is empty");
	if (state->wanted_snapshot && !nm_qcow2_recognise(head, size))
		return no_snapshots(detail);
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (readers[i].recognise(head, size))
			return readers[i].read(state, source, flags, detail);
	return unknown(head, size, detail);
}

static enum nestmig_error read_path(struct nestmig_state *state, const char *path, bool is_dir,
				    unsigned flags, struct nestmig_detail *detail)
{
	if (!is_dir)
		return read_file(state, path, flags, detail);
	if (state->wanted_snapshot)
		return no_snapshots(detail);
	return nm_chv_recognise(path) ? nm_chv_read(state, path, detail)
				      : nm_rawdump_read(state, path, detail);
}

enum nestmig_error nestmig_state_read_named(const char *path, unsigned flags, const char *snapshot,
					    struct nestmig_state **ret_state,
					    struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	enum nestmig_error error;
	struct stat st;

	if (flags & ~(unsigned)NESTMIG_READ_SKIP_RAM_CHECKSUM)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "unknown flags 0x%x", flags);
	if (stat(path, &st) < 0)
		return nm_fail_errno(detail, "cannot open it");
	error = nm_state_new(path, NULL, &state, detail);
	if (error)
		return error;
	state->wanted_snapshot = snapshot;
	error = read_path(state, path, S_ISDIR(st.st_mode), flags, detail);
	state->wanted_snapshot = NULL;
	if (!error)
		error = nm_state_load_memory(state, detail);
	if (error) {
		nestmig_state_free(state);
		return error;
	}
	*ret_state = state;
	return NESTMIG_OK;
}

enum nestmig_error nestmig_state_read(const char *path, unsigned flags,
				      struct nestmig_state **ret_state,
				      struct nestmig_detail *detail)
{
	return nestmig_state_read_named(path, flags, NULL, ret_state, detail);
}
