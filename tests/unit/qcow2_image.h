/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer of qcow2 images of our own (QEMU docs/interop/qcow2.txt): a disk without data and internal snapshots
 * with VM state. Every structure has clusters of its own: header, snapshot table, then of each snapshot the L1
 * table, an L2 table and its data.
 */
#ifndef TEST_QCOW2_IMAGE_H
#define TEST_QCOW2_IMAGE_H

#include "qcow2.h"
#include "qcow2_internal.h"
#include "stream.h"

struct snapshot_of {
	const char *id, *name;
	const struct stream *state; /* NULL: of the disk alone */
	uint64_t recorded;          /* size in the entry; 0: the state's */
};

struct image_of {
	uint32_t version;
	unsigned cluster_bits;
	bool extended;
	uint32_t extra; /* bytes of extra data of a snapshot */
	size_t count;
	struct snapshot_of snapshots[4];
	/* Where the writer put them, in bytes: the entries of the table, L1 and L2 of the first with state. */
	size_t entry[4], l1, l2;
};

#define DISK_SIZE 0x10000

static inline void pad_to(struct stream *s, size_t alignment)
{
	put_fill(s, 0, (alignment - s->size % alignment) % alignment);
}

static inline void put_qcow2_header(struct stream *s, const struct image_of *image)
{
	put_be(s, QCOW2_MAGIC, 4);
	put_be(s, image->version, 4);
	put_fill(s, 0, 8 + 4); /* no backing file */
	put_be(s, image->cluster_bits, 4);
	put_be(s, DISK_SIZE, 8);
	put_fill(s, 0, 4 + 4); /* not encrypted; the active L1 table is not looked at */
	put_fill(s, 0, 8 + 8 + 4);
	put_be(s, image->count, 4);
	put_be(s, image->count ? UINT64_C(1) << image->cluster_bits : 0, 8);
	if (image->version == 2)
		return;
	put_be(s, image->extended ? 0x10 : 0, 8);
	put_fill(s, 0, 8 + 8);
	put_be(s, 4, 4);
	put_be(s, 104, 4);
}

/* An entry of the snapshot table. */
static inline void put_entry(struct stream *s, struct image_of *image, size_t n)
{
	const struct snapshot_of *snapshot = &image->snapshots[n];
	uint64_t size = snapshot->recorded ? snapshot->recorded
			: snapshot->state  ? snapshot->state->size
					   : 0;

	image->entry[n] = s->size;
	put_be(s, 0, 8); /* L1 table: later */
	put_be(s, 0, 4);
	put_be(s, strlen(snapshot->id), 2);
	put_be(s, strlen(snapshot->name), 2);
	put_be(s, 86400 * n, 4);
	put_fill(s, 0, 4 + 8);
	put_be(s, image->extra >= 8 ? 0 : size, 4);
	put_be(s, image->extra, 4);
	if (image->extra >= 8)
		put_be(s, size, 8);
	if (image->extra >= 16)
		put_be(s, DISK_SIZE, 8);
	if (image->extra > 16)
		put_fill(s, 0xee, image->extra - 16);
	put(s, snapshot->id, strlen(snapshot->id));
	put(s, snapshot->name, strlen(snapshot->name));
	pad_to(s, 8);
}

/* The L1 table of a snapshot, its L2 tables, and the state. */
static inline void put_vm_state(struct stream *s, struct image_of *image, size_t n)
{
	const struct stream *state = image->snapshots[n].state;
	size_t cluster = (size_t)1 << image->cluster_bits, width = image->extended ? 16 : 8;
	size_t cover = cluster / width * cluster, first = (DISK_SIZE + cover - 1) / cover;
	size_t tables = (state->size + cover - 1) / cover, l1 = s->size, l2;

	set_be(s->p + image->entry[n], l1, 8);
	set_be(s->p + image->entry[n] + 8, first + tables, 4);
	put_fill(s, 0, 8 * (first + tables));
	pad_to(s, cluster);
	l2 = s->size;
	put_fill(s, 0, tables * cluster);
	for (size_t i = 0; i < tables; i++)
		set_be(s->p + l1 + 8 * (first + i), UINT64_C(1) << 63 | (l2 + i * cluster), 8);
	for (size_t at = 0, i = 0; at < state->size; at += cluster, i++) {
		size_t length = state->size - at < cluster ? state->size - at : cluster;

		set_be(s->p + l2 + i * width, UINT64_C(1) << 63 | s->size, 8);
		if (image->extended)
			set_be(s->p + l2 + i * width + 8, 0xffffffff, 8);
		put(s, state->p + at, length);
		pad_to(s, cluster);
	}
	if (!image->l1) {
		image->l1 = l1 + 8 * first;
		image->l2 = l2;
	}
}

static inline struct stream image_make(struct image_of *image)
{
	size_t cluster = (size_t)1 << image->cluster_bits;
	struct stream s = {0};

	put_qcow2_header(&s, image);
	pad_to(&s, cluster);
	for (size_t n = 0; n < image->count; n++)
		put_entry(&s, image, n);
	pad_to(&s, cluster);
	for (size_t n = 0; n < image->count; n++)
		if (image->snapshots[n].state)
			put_vm_state(&s, image, n);
	return s;
}

/* Reads an image from memory. *ret_state is there on failure, too: the caller frees it. */
static inline enum nestmig_error image_read(const uint8_t *bytes, size_t size, const char *wanted,
					    struct nestmig_state **ret_state,
					    struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;

	ck_assert_int_eq(nm_state_new("test", NULL, &state, detail), NESTMIG_OK);
	ck_assert_int_eq(nm_source_memory(bytes, size, &source, detail), NESTMIG_OK);
	ck_assert_int_eq(nm_state_add_source(state, source, detail), NESTMIG_OK);
	state->wanted_snapshot = wanted;
	*ret_state = state;
	return nm_qcow2_read(state, source, 0, detail);
}

static inline void image_refused(const struct stream *s, const char *wanted,
				 enum nestmig_error error, const char *says)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error is = image_read(s->p, s->size, wanted, &state, &detail);

	ck_assert_msg(is == error, "%s instead of %s: %s", nestmig_error_name(is),
		      nestmig_error_name(error), detail.text);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
	nestmig_state_free(state);
}

#endif
