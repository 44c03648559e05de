// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The VM state of a qcow2 snapshot as a source: guest clusters behind the end of the disk, through the L1
 * and L2 tables of the snapshot (qcow2_vm_state_offset, qcow2_load_vmstate). Two look-ups a cluster and
 * no chains, so no table can send the reader in circles; every offset is checked by the image's source.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "qcow2_internal.h"

#define OFFSET_MASK   UINT64_C(0x00fffffffffffe00) /* L1E_OFFSET_MASK, L2E_OFFSET_MASK */
#define L2_COMPRESSED (UINT64_C(1) << 62)
#define L2_ZERO       UINT64_C(1)
#define SUBCLUSTERS   32

/* L2 entries are kept in slices, as QEMU keeps them: so many bytes, so many of them. */
#define SLICE_BITS 12
#define SLICES     16
/* QCOW_MAX_L1_SIZE: 32 MiB of entries. */
#define L1_MAX (UINT32_C(32) << 20 >> 3)
/* QEMU makes an L2 table where it writes a cluster, so the last one has data. */
#define EMPTY_TABLES_MAX 16

struct slice {
	uint64_t offset; /* in the image; 0: empty */
	uint8_t bytes[1 << SLICE_BITS];
};

struct map {
	struct nm_source *image;
	uint32_t version;
	unsigned cluster_bits, l2_bits; /* log2 of a cluster's bytes, of an L2 table's entries */
	bool is_extended, has_backing;
	uint64_t l1_offset;
	uint32_t l1_entries;
	uint64_t start; /* guest offset of the VM state, a whole number of L2 tables */
	bool has_table; /* table is the L2 table of the L1 entry with this index */
	uint64_t index, table;
	unsigned turn;
	struct slice slices[SLICES];
};

/* An entry of an L2 table. */
struct l2_entry {
	uint64_t word, bitmap; /* bitmap: of extended L2 entries */
	uint64_t at;           /* offset in the image */
};

/* Where a piece of the guest's address space is. */
struct place {
	bool is_zero;
	uint64_t offset; /* in the image, if not zero */
	uint64_t length; /* bytes from here on that are in the same state */
};

static unsigned entry_bits(const struct map *map)
{
	return map->is_extended ? 4 : 3;
}

/* The slice of the image at offset, which is aligned to slices. */
static enum nestmig_error get_slice(struct map *map, uint64_t offset, const uint8_t **ret_bytes,
				    struct nestmig_detail *detail)
{
	size_t size =
		(size_t)1 << (map->cluster_bits < SLICE_BITS ? map->cluster_bits : SLICE_BITS);
	struct slice *slice;
	enum nestmig_error error;

	for (size_t i = 0; i < SLICES; i++)
		if (map->slices[i].offset == offset) {
			*ret_bytes = map->slices[i].bytes;
			return NESTMIG_OK;
		}
	slice = &map->slices[map->turn++ % SLICES];
	slice->offset = 0;
	error = nm_source_read(map->image, offset, slice->bytes, size, detail);
	if (error)
		return error;
	slice->offset = offset;
	*ret_bytes = slice->bytes;
	return NESTMIG_OK;
}

/* The offset of the L2 table of an L1 entry; 0: there is none. */
static enum nestmig_error l2_table(const struct map *map, uint64_t index, uint64_t *ret_offset,
				   struct nestmig_detail *detail)
{
	uint64_t at = map->l1_offset + 8 * index;
	uint8_t bytes[8];
	enum nestmig_error error = nm_source_read(map->image, at, bytes, sizeof(bytes), detail);
	uint64_t offset = nm_be64(bytes) & OFFSET_MASK;

	if (error)
		return error;
	if (offset & ((UINT64_C(1) << map->cluster_bits) - 1))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, at,
				  "an L2 table of the snapshot is said to be at %" PRIu64
				  ", which is no start of a cluster",
				  offset);
	*ret_offset = offset;
	return NESTMIG_OK;
}

/* The entry with this index of the L2 table at offset. */
static enum nestmig_error read_l2(struct map *map, uint64_t table, uint64_t index,
				  struct l2_entry *ret_entry, struct nestmig_detail *detail)
{
	uint64_t at = table + (index << entry_bits(map));
	uint64_t mask =
		(UINT64_C(1) << (map->cluster_bits < SLICE_BITS ? map->cluster_bits : SLICE_BITS)) -
		1;
	const uint8_t *bytes;
	enum nestmig_error error = get_slice(map, at & ~mask, &bytes, detail);

	if (error)
		return error;
	*ret_entry = (struct l2_entry){.word = nm_be64(bytes + (at & mask)), .at = at};
	if (map->is_extended)
		ret_entry->bitmap = nm_be64(bytes + (at & mask) + 8);
	return NESTMIG_OK;
}

static enum nestmig_error check_l2(const struct map *map, const struct l2_entry *entry,
				   struct nestmig_detail *detail)
{
	uint64_t offset = entry->word & OFFSET_MASK;

	if (entry->word & L2_COMPRESSED)
		return nm_fail_at(
			detail, NESTMIG_ERR_UNSUPPORTED, entry->at,
			"a cluster of the VM state is compressed, which QEMU never writes "
			"and this version does not read");
	if (offset & ((UINT64_C(1) << map->cluster_bits) - 1))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, entry->at,
				  "a cluster of the VM state is said to be at %" PRIu64
				  ", which is no start of a cluster",
				  offset);
	if (entry->word & L2_ZERO && (map->version < 3 || map->is_extended))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, entry->at,
				  "an L2 entry has the zero flag, which an image of this kind does "
				  "not have");
	return NESTMIG_OK;
}

/*
 * length bytes that are not in the image. They read as zero, but those of a backing file if that is longer
 * than the disk; QEMU leaves none out where it writes VM state.
 */
static enum nestmig_error place_absent(const struct map *map, uint64_t length,
				       struct place *ret_place, struct nestmig_detail *detail)
{
	if (map->has_backing)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "a cluster of the VM state is not in the image, but perhaps in its "
			       "backing file, which is not read");
	*ret_place = (struct place){.is_zero = true, .length = length};
	return NESTMIG_OK;
}

/* The piece of a cluster from skip on: of an extended entry a subcluster. */
static enum nestmig_error place_in(const struct map *map, const struct l2_entry *entry,
				   uint64_t skip, struct place *ret_place,
				   struct nestmig_detail *detail)
{
	uint64_t offset = entry->word & OFFSET_MASK;
	uint64_t size = UINT64_C(1) << map->cluster_bits;
	bool reads_zero = entry->word & L2_ZERO, has_data = offset != 0 && !reads_zero;

	if (map->is_extended) {
		unsigned n;

		size /= SUBCLUSTERS;
		n = (unsigned)(skip / size);
		has_data = entry->bitmap >> n & 1;
		reads_zero = entry->bitmap >> (SUBCLUSTERS + n) & 1;
		if (has_data && (reads_zero || offset == 0))
			return nm_fail_at(detail, NESTMIG_ERR_FORMAT, entry->at + 8,
					  "a subcluster of the VM state has data and %s",
					  reads_zero ? "is zero" : "no place");
	}
	if (!has_data && !reads_zero)
		return place_absent(map, size - skip % size, ret_place, detail);
	*ret_place = (struct place){
		.is_zero = !has_data, .offset = offset + skip, .length = size - skip % size};
	return NESTMIG_OK;
}

static enum nestmig_error find_place(struct map *map, uint64_t guest, struct place *ret_place,
				     struct nestmig_detail *detail)
{
	uint64_t size = UINT64_C(1) << map->cluster_bits, skip = guest & (size - 1), table = 0;
	uint64_t cluster = guest >> map->cluster_bits;
	struct l2_entry entry = {0};
	enum nestmig_error error = NESTMIG_OK;

	if (map->has_table && map->index == cluster >> map->l2_bits)
		table = map->table;
	else
		error = l2_table(map, cluster >> map->l2_bits, &table, detail);
	if (error)
		return error;
	map->has_table = true;
	map->index = cluster >> map->l2_bits;
	map->table = table;
	if (table == 0)
		return place_absent(map, size - skip, ret_place, detail);
	error = read_l2(map, table, cluster & ((UINT64_C(1) << map->l2_bits) - 1), &entry, detail);
	if (!error)
		error = check_l2(map, &entry, detail);
	return error ? error : place_in(map, &entry, skip, ret_place, detail);
}

/* Who reads the stream takes an offset for one in the stream. */
static enum nestmig_error of_image(enum nestmig_error error, struct nestmig_detail *detail)
{
	struct nestmig_detail inner;

	if (!detail || !detail->has_offset)
		return error;
	inner = *detail;
	detail->has_offset = false;
	snprintf(detail->text, sizeof(detail->text), "byte %" PRIu64 " of the image: %.350s",
		 inner.offset, inner.text);
	return error;
}

static enum nestmig_error map_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				   struct nestmig_detail *detail)
{
	struct map *map = ctx;
	uint8_t *to = buffer;

	while (length > 0) {
		struct place place = {0};
		enum nestmig_error error = find_place(map, map->start + offset, &place, detail);
		size_t n;

		if (error)
			return of_image(error, detail);
		n = place.length < length ? (size_t)place.length : length;
		if (place.is_zero)
			memset(to, 0, n);
		else
			error = nm_source_read(map->image, place.offset, to, n, detail);
		if (error)
			return of_image(error, detail);
		to += n;
		offset += n;
		length -= n;
	}
	return NESTMIG_OK;
}

static const struct nm_source_ops map_ops = {.read = map_read, .free = free};

static enum nestmig_error check_l1(const struct map *map, struct nestmig_detail *detail)
{
	if (map->l1_entries > L1_MAX)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "the L1 table of the snapshot has %" PRIu32
			       " entries, more than %" PRIu32,
			       map->l1_entries, L1_MAX);
	if (map->l1_offset & ((UINT64_C(1) << map->cluster_bits) - 1))
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "the L1 table of the snapshot is said to be at %" PRIu64
			       ", which is no start of a cluster",
			       map->l1_offset);
	if (map->l1_offset > nm_source_size(map->image) ||
	    8 * (uint64_t)map->l1_entries > nm_source_size(map->image) - map->l1_offset)
		return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, nm_source_size(map->image),
				  "the L1 table of the snapshot, %" PRIu32 " entries at %" PRIu64
				  ", runs past the end of the image",
				  map->l1_entries, map->l1_offset);
	return NESTMIG_OK;
}

/* Fills in all but the slices. *ret_size is what the L1 table covers of the VM state, in bytes. */
static enum nestmig_error map_init(struct map *map, struct nm_source *image,
				   const struct qcow2_header *header,
				   const struct qcow2_snapshot *snapshot, uint64_t *ret_size,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error;
	uint64_t disk_tables;
	unsigned cover;

	*map = (struct map){
		.image = image,
		.version = header->version,
		.cluster_bits = header->cluster_bits,
		.is_extended = header->has_extended_l2,
		.has_backing = header->has_backing,
		.l1_offset = snapshot->l1_offset,
		.l1_entries = snapshot->l1_entries,
	};
	map->l2_bits = map->cluster_bits - entry_bits(map);
	cover = map->cluster_bits + map->l2_bits;
	error = check_l1(map, detail);
	if (error)
		return error;
	disk_tables = (snapshot->disk_size >> cover) +
		      ((snapshot->disk_size & ((UINT64_C(1) << cover) - 1)) != 0);
	/* Guest offsets are signed 64-bit numbers in QEMU. */
	if (disk_tables > map->l1_entries || map->l1_entries > INT64_MAX >> cover)
		return nm_fail(detail, NESTMIG_ERR_FORMAT,
			       "the L1 table of the snapshot has %" PRIu32
			       " entries, which does not go with a disk of %" PRIu64 " bytes",
			       map->l1_entries, snapshot->disk_size);
	map->start = disk_tables << cover;
	*ret_size = (map->l1_entries - disk_tables) << cover;
	return NESTMIG_OK;
}

enum nestmig_error qcow2_map_new(struct nm_source *image, const struct qcow2_header *header,
				 const struct qcow2_snapshot *snapshot, uint64_t length,
				 struct nm_source **ret_source, struct nestmig_detail *detail)
{
	struct map *map = malloc(sizeof(*map));
	enum nestmig_error error;
	uint64_t size = 0;

	if (!map)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = map_init(map, image, header, snapshot, &size, detail);
	if (!error && length != UINT64_MAX && length > size)
		error = nm_fail(detail, NESTMIG_ERR_TRUNCATED,
				"the snapshot is said to have %" PRIu64
				" bytes of VM state, but its L1 table covers %" PRIu64,
				length, size);
	if (error) {
		free(map);
		return error;
	}
	return nm_source_new(&map_ops, map, length < size ? length : size, ret_source, detail);
}

/* The end of the last cluster that has data in the L2 table at offset; 0: none has. */
static enum nestmig_error table_end(struct map *map, uint64_t table, uint64_t *ret_end,
				    struct nestmig_detail *detail)
{
	uint64_t size = UINT64_C(1) << map->cluster_bits;

	for (uint64_t index = UINT64_C(1) << map->l2_bits; index-- > 0;) {
		struct l2_entry entry;
		enum nestmig_error error = read_l2(map, table, index, &entry, detail);
		uint64_t offset, left;

		if (!error)
			error = check_l2(map, &entry, detail);
		if (error)
			return error;
		offset = entry.word & OFFSET_MASK;
		if (offset == 0)
			continue;
		if (offset >= nm_source_size(map->image))
			return nm_fail_at(detail, NESTMIG_ERR_TRUNCATED, nm_source_size(map->image),
					  "the last cluster of the VM state, at %" PRIu64
					  ", is behind the end of the image",
					  offset);
		left = nm_source_size(map->image) - offset;
		*ret_end = (index << map->cluster_bits) + (left < size ? left : size);
		return NESTMIG_OK;
	}
	*ret_end = 0;
	return NESTMIG_OK;
}

enum nestmig_error qcow2_map_end(struct nm_source *image, const struct qcow2_header *header,
				 const struct qcow2_snapshot *snapshot, uint64_t *ret_end,
				 struct nestmig_detail *detail)
{
	struct map *map = malloc(sizeof(*map));
	enum nestmig_error error;
	uint64_t size = 0, end = 0, first, index;
	unsigned cover, empty = 0;

	if (!map)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = map_init(map, image, header, snapshot, &size, detail);
	cover = map->cluster_bits + map->l2_bits;
	first = map->start >> cover;
	for (index = first + (size >> cover); !error && end == 0 && index-- > first;) {
		uint64_t table = 0;

		error = l2_table(map, index, &table, detail);
		if (!error && table)
			error = table_end(map, table, &end, detail);
		if (end)
			end += (index - first) << cover;
		else if (!error && table && ++empty > EMPTY_TABLES_MAX)
			error = nm_fail(detail, NESTMIG_ERR_LIMIT,
					"behind the VM state there are more than %d L2 tables "
					"without data",
					EMPTY_TABLES_MAX);
	}
	free(map);
	if (!error)
		*ret_end = end;
	return error;
}
