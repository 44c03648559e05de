// SPDX-License-Identifier: LGPL-2.1-or-later
/* Recognising a saved state by its content, and handing it to its reader. */
#include <sys/stat.h>

#include "bytes.h"
#include "cloud_hypervisor.h"
#include "error.h"
#include "foreign.h"
#include "libvirt.h"
#include "nms.h"
#include "qcow2.h"
#include "qemu.h"
#include "rawdump.h"
#include "reader.h"
#include "source.h"
#include "unpack.h"

static enum nestmig_error unknown(const uint8_t *head, size_t size, struct nestmig_detail *detail)
{
	const char *reason = nm_foreign_reason(head, size);

	if (reason)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 0, "%s", reason);
	return nm_fail_at(
		detail, NESTMIG_ERR_UNSUPPORTED, 0,
		"no saved state that nestmig knows: neither a QEMU migration stream, a "
		"libvirt save image, a qcow2 image, a nestmig snapshot, a cloud-hypervisor "
		"snapshot nor a raw KVM dump directory");
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
	{nm_nms_recognise, nm_nms_read},         {is_qemu, read_qemu},
	{nm_libvirt_recognise, nm_libvirt_read}, {nm_unpack_recognise, nm_unpack_read},
	{nm_qcow2_recognise, nm_qcow2_read},
};

static enum nestmig_error no_snapshots(struct nestmig_detail *detail)
{
	return nm_fail(detail, NESTMIG_ERR_INVALID,
		       "a snapshot is named, but only a qcow2 image has snapshots inside");
}

/* Takes source over, also on failure. */
static enum nestmig_error read_source(struct nestmig_state *state, struct nm_source *source,
				      unsigned flags, struct nestmig_detail *detail)
{
	uint8_t head[NM_HEAD_SIZE] = {0};
	enum nestmig_error error = nm_state_add_source(state, source, detail);
	size_t size;

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

static enum nestmig_error read_file(struct nestmig_state *state, const char *path, unsigned flags,
				    struct nestmig_detail *detail)
{
	struct nm_source *source = NULL;
	enum nestmig_error error = nm_source_open(path, &source, detail);

	return error ? error : read_source(state, source, flags, detail);
}

static enum nestmig_error read_directory(struct nestmig_state *state, const char *path,
					 struct nestmig_detail *detail)
{
	if (state->wanted_snapshot)
		return no_snapshots(detail);
	return nm_chv_recognise(path) ? nm_chv_read(state, path, detail)
				      : nm_rawdump_read(state, path, detail);
}

/* The end of reading: takes state over. */
static enum nestmig_error finish(struct nestmig_state *state, enum nestmig_error error,
				 struct nestmig_state **ret_state, struct nestmig_detail *detail)
{
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

static enum nestmig_error check_flags(unsigned flags, struct nestmig_detail *detail)
{
	if (flags & ~(unsigned)(NESTMIG_READ_SKIP_RAM_CHECKSUM | NESTMIG_READ_QUICK))
		return nm_fail(detail, NESTMIG_ERR_INVALID, "unknown flags 0x%x", flags);
	return NESTMIG_OK;
}

enum nestmig_error nm_state_read_source(struct nm_source *source, const char *name, unsigned flags,
					const char *snapshot, struct nestmig_state **ret_state,
					struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	enum nestmig_error error = check_flags(flags, detail);

	if (!error)
		error = nm_state_new(name, NULL, &state, detail);
	if (error) {
		nm_source_free(source);
		return error;
	}
	state->wanted_snapshot = snapshot;
	state->is_quick = flags & (NESTMIG_READ_QUICK | NESTMIG_READ_SKIP_RAM_CHECKSUM);
	return finish(state, read_source(state, source, flags, detail), ret_state, detail);
}

enum nestmig_error nestmig_state_read_named(const char *path, unsigned flags, const char *snapshot,
					    struct nestmig_state **ret_state,
					    struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	enum nestmig_error error = check_flags(flags, detail);
	struct stat st;

	if (error)
		return error;
	if (stat(path, &st) < 0)
		return nm_fail_errno(detail, "cannot open it");
	error = nm_state_new(path, NULL, &state, detail);
	if (error)
		return error;
	state->wanted_snapshot = snapshot;
	state->is_quick = flags & (NESTMIG_READ_QUICK | NESTMIG_READ_SKIP_RAM_CHECKSUM);
	error = S_ISDIR(st.st_mode) ? read_directory(state, path, detail)
				    : read_file(state, path, flags, detail);
	return finish(state, error, ret_state, detail);
}

enum nestmig_error nestmig_state_read(const char *path, unsigned flags,
				      struct nestmig_state **ret_state,
				      struct nestmig_detail *detail)
{
	return nestmig_state_read_named(path, flags, NULL, ret_state, detail);
}
