// SPDX-License-Identifier: LGPL-2.1-or-later
/* qcow2 images: the header, and from a snapshot to its stream. */
#include "qcow2.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qcow2_internal.h"
#include "qemu.h"
#include "qemu_internal.h"

#define HEADER_V2        72
#define HEADER_V3        104
#define CLUSTER_BITS_MIN 9
#define CLUSTER_BITS_MAX 21
/* QCOW_MIN_CLUSTER_BITS for subclusters of a sector: 32 of 512 bytes. */
#define CLUSTER_BITS_EXTENDED 14

/* Incompatible features. A dirty image has wrong reference counts, which are not read here; neither
 * is what the compression type is about. */
#define FEATURE_DIRTY       0x01
#define FEATURE_CORRUPT     0x02
#define FEATURE_DATA_FILE   0x04
#define FEATURE_COMPRESSION 0x08
#define FEATURE_EXTENDED_L2 0x10

bool nm_qcow2_recognise(const uint8_t *head, size_t size)
{
	return size >= 4 && nm_be32(head) == QCOW2_MAGIC;
}

static enum nestmig_error check_features(uint64_t features, struct nestmig_detail *detail)
{
	if (features & FEATURE_CORRUPT)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 72,
				  "QEMU has marked this image as corrupt, so its tables are not to "
				  "be trusted: repair it first (qemu-img check -r)");
	if (features & FEATURE_DATA_FILE)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 72,
				  "the clusters of this image are in an external data file; QEMU "
				  "takes no snapshots of such an image, so it holds no VM state");
	features &= ~(uint64_t)(FEATURE_DIRTY | FEATURE_COMPRESSION | FEATURE_EXTENDED_L2);
	if (features)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 72,
				  "the image has incompatible features 0x%" PRIx64
				  " that this version does not know",
				  features);
	return NESTMIG_OK;
}

static enum nestmig_error read_v3(struct nm_source *image, struct qcow2_header *header,
				  struct nestmig_detail *detail)
{
	uint8_t p[HEADER_V3 - HEADER_V2];
	enum nestmig_error error = nm_source_read(image, HEADER_V2, p, sizeof(p), detail);
	uint64_t features;

	if (error)
		return error;
	features = nm_be64(p);
	if (nm_be32(p + 28) < HEADER_V3)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 100,
				  "the header says that it has %" PRIu32
				  " bytes, but one of version 3 has %d",
				  nm_be32(p + 28), HEADER_V3);
	error = check_features(features, detail);
	header->has_extended_l2 = features & FEATURE_EXTENDED_L2;
	return error;
}

static enum nestmig_error check_header(const struct qcow2_header *header, uint32_t cluster_bits,
				       uint32_t crypt_method, struct nestmig_detail *detail)
{
	if (header->version != 2 && header->version != 3)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 4,
				  "a qcow image of version %" PRIu32 "; versions 2 and 3 are read",
				  header->version);
	if (cluster_bits < CLUSTER_BITS_MIN || cluster_bits > CLUSTER_BITS_MAX)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 20,
				  "clusters of 2^%" PRIu32 " bytes: qcow2 has 2^%d to 2^%d",
				  cluster_bits, CLUSTER_BITS_MIN, CLUSTER_BITS_MAX);
	if (crypt_method)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, 32,
				  "the image is encrypted (method %" PRIu32
				  "), and so is its VM state: decrypt it first (qemu-img convert "
				  "loses snapshots, so restore it and save it elsewhere)",
				  crypt_method);
	if (header->snapshots_offset & ((UINT64_C(1) << cluster_bits) - 1))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 64,
				  "the snapshot table is said to be at %" PRIu64
				  ", which is no start of a cluster",
				  header->snapshots_offset);
	return NESTMIG_OK;
}

static enum nestmig_error read_header(struct nm_source *image, struct qcow2_header *ret_header,
				      struct nestmig_detail *detail)
{
	uint8_t p[HEADER_V2];
	struct qcow2_header header = {0};
	enum nestmig_error error = nm_source_read(image, 0, p, sizeof(p), detail);

	if (error)
		return error;
	header.version = nm_be32(p + 4);
	header.has_backing = nm_be64(p + 8) != 0;
	header.disk_size = nm_be64(p + 24);
	header.snapshot_count = nm_be32(p + 60);
	header.snapshots_offset = nm_be64(p + 64);
	error = check_header(&header, nm_be32(p + 20), nm_be32(p + 32), detail);
	if (error)
		return error;
	header.cluster_bits = nm_be32(p + 20);
	if (header.version == 3)
		error = read_v3(image, &header, detail);
	if (error)
		return error;
	if (header.has_extended_l2 && header.cluster_bits < CLUSTER_BITS_EXTENDED)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, 20,
				  "extended L2 entries go with clusters of 2^%d bytes or more",
				  CLUSTER_BITS_EXTENDED);
	*ret_header = header;
	return NESTMIG_OK;
}

/* "u8 length, name" of the stream at *at; false if it does not fit. */
static bool next_name(const uint8_t *bytes, size_t size, size_t *at, const uint8_t **ret_name,
		      size_t *ret_length)
{
	if (*at >= size || size - *at - 1 < bytes[*at])
		return false;
	*ret_length = bytes[*at];
	*ret_name = bytes + *at + 1;
	*at += 1 + *ret_length;
	return true;
}

static bool is_name(const uint8_t *name, size_t length, const char *text)
{
	return length == strlen(text) && memcmp(name, text, length) == 0;
}

/*
 * Does the configuration section list mapped-ram? Then the recorded size of the VM state counts only the
 * bytes that went through the stream, and RAM stands behind it (QEMU 11.1; see formats.md). What is not
 * understood is none: then the recorded size counts.
 */
static bool has_mapped_ram(const uint8_t *bytes, size_t size)
{
	size_t at = QEMU_FILE_HEADER + 5, length;
	const uint8_t *name;
	uint32_t count;

	if (size < at || bytes[QEMU_FILE_HEADER] != QEMU_VM_CONFIGURATION ||
	    nm_be32(bytes + QEMU_FILE_HEADER + 1) > size - at)
		return false;
	at += nm_be32(bytes + QEMU_FILE_HEADER + 1);
	if (at >= size || bytes[at++] != QEMU_VM_SUBSECTION ||
	    !next_name(bytes, size, &at, &name, &length) ||
	    !is_name(name, length, "configuration/capabilities") || size - at < 8)
		return false;
	count = nm_be32(bytes + at + 4);
	at += 8;
	while (count-- > 0 && next_name(bytes, size, &at, &name, &length))
		if (is_name(name, length, "mapped-ram"))
			return true;
	return false;
}

/*
 * How long the stream is: the recorded size, or up to where the clusters end. QEMU writes each cluster of a
 * stream of the recorded size to a place of its own, so it is no longer than the image.
 */
static enum nestmig_error stream_size(struct nm_source *image, const struct qcow2_header *header,
				      const struct qcow2_snapshot *snapshot, uint64_t *ret_size,
				      struct nestmig_detail *detail)
{
	struct nm_source *all = NULL;
	uint8_t head[1024];
	size_t length = sizeof(head);
	enum nestmig_error error = qcow2_map_new(image, header, snapshot, UINT64_MAX, &all, detail);

	if (error)
		return error;
	if (length > nm_source_size(all))
		length = (size_t)nm_source_size(all);
	error = nm_source_read(all, 0, head, length, detail);
	nm_source_free(all);
	*ret_size = snapshot->vm_state_size;
	if (!error && has_mapped_ram(head, length))
		return qcow2_map_end(image, header, snapshot, ret_size, detail);
	if (!error && snapshot->vm_state_size > nm_source_size(image))
		return nm_fail(detail, NESTMIG_ERR_TRUNCATED,
			       "the snapshot is said to have %" PRIu64
			       " bytes of VM state, but the whole image has %" PRIu64,
			       snapshot->vm_state_size, nm_source_size(image));
	return error;
}

/* Errors of the stream reader have offsets in the stream, which is in pieces in the image. */
static void say_stream(struct nestmig_detail *detail)
{
	struct nestmig_detail inner;

	if (!detail || !detail->has_offset)
		return;
	inner = *detail;
	detail->has_offset = false;
	snprintf(detail->text, sizeof(detail->text), "byte %" PRIu64 " of the VM state: %.350s",
		 inner.offset, inner.text);
}

enum nestmig_error nm_qcow2_read(struct nestmig_state *state, struct nm_source *image,
				 unsigned flags, struct nestmig_detail *detail)
{
	struct nm_source *stream = NULL;
	struct qcow2_snapshot snapshot = {0};
	struct qcow2_header header = {0};
	enum nestmig_error error = read_header(image, &header, detail);
	uint64_t size = 0;

	(void)flags;
	if (!error)
		error = qcow2_find_snapshot(image, &header, state->wanted_snapshot, &snapshot,
					    detail);
	if (!error)
		error = stream_size(image, &header, &snapshot, &size, detail);
	if (!error)
		error = qcow2_map_new(image, &header, &snapshot, size, &stream, detail);
	if (!error)
		error = nm_state_add_source(state, stream, detail);
	if (error)
		return error;
	state->format = "qcow2-snapshot";
	state->stream = stream;
	error = nm_qemu_read(state, stream, detail);
	if (error)
		say_stream(detail);
	return error;
}
