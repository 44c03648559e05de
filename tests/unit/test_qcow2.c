// SPDX-License-Identifier: GPL-2.0-or-later
/* The VM state of qcow2 snapshots: images that QEMU made (cases/qcow2) and images of our own. */
#include "qcow2_image.h"

/* The stream that a state was read from is this one, byte for byte, however it is read. */
static void check_stream(const struct nestmig_state *state, const struct stream *s)
{
	struct nestmig_detail detail = {0};
	uint8_t *bytes = malloc(s->size);

	ck_assert_uint_eq(nm_source_size(state->stream), s->size);
	ck_ok(nm_source_read(state->stream, 0, bytes, s->size, &detail), detail);
	ck_assert_mem_eq(bytes, s->p, s->size);
	for (size_t at = 0; at < s->size; at += 211) {
		size_t n = s->size - at < 97 ? s->size - at : 97;

		ck_ok(nm_source_read(state->stream, at, bytes, n, &detail), detail);
		ck_assert_mem_eq(bytes, s->p + at, n);
	}
	free(bytes);
}

static struct nestmig_state *must_read_image(const struct stream *s, const char *wanted)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(image_read(s->p, s->size, wanted, &state, &detail), detail);
	ck_assert_str_eq(state->format, "qcow2-snapshot");
	return state;
}

/* ---- Images that QEMU made ------------------------------------------------------------------- */

static const char *const genuine_images[] = {"plain", "v2", "extended", "small", "large"};

START_TEST(genuine_images_are_read)
{
	struct nestmig_state *alpha, *beta, *by_id;
	struct stream image;
	char name[64];

	snprintf(name, sizeof(name), "qcow2/%s.qcow2.zst", genuine_images[_i]);
	image = read_case(name);
	alpha = must_read_image(&image, "alpha");
	beta = must_read_image(&image, "beta");
	by_id = must_read_image(&image, "2");
	ck_assert_uint_eq(alpha->vcpu_count, 2);
	ck_assert_str_eq(alpha->machine, "pc-i440fx-7.2");
	ck_field(beta, 0, "regs.rax", value_of(by_id, 0, "regs.rax"));
	ck_assert_uint_ne(value_of(alpha, 0, "regs.rax"), value_of(beta, 0, "regs.rax"));
	ck_field(alpha, 0, "regs.rip", 0xfff0 + value_of(alpha, 0, "regs.rip") % 2);
	image_refused(&image, NULL, NESTMIG_ERR_INVALID, "\"alpha\" (id 1, 2026-11-21 ");
	image_refused(&image, NULL, NESTMIG_ERR_INVALID, "\"beta\" (id 2, 2026-11-21 ");
	image_refused(&image, "gamma", NESTMIG_ERR_NOT_FOUND, "\"beta\" (id 2");
	nestmig_state_free(alpha);
	nestmig_state_free(beta);
	nestmig_state_free(by_id);
	stream_free(&image);
}
END_TEST

/* What QEMU wrote into the image is what it migrated to a file at the same moment. */
START_TEST(a_snapshot_holds_what_a_migration_does)
{
	static const char *const fields[] = {"regs.rax", "regs.rip",   "sregs.cr0",
					     "sregs.cs", "sregs.efer", "mp_state"};
	static const char *const names[] = {"alpha", "beta"};
	struct stream image = read_case("qcow2/plain.qcow2.zst"), migrated;
	struct nestmig_state *state, *other;
	char name[64];

	snprintf(name, sizeof(name), "qcow2/plain-%s.qemu.zst", names[_i]);
	migrated = read_case(name);
	state = must_read_image(&image, names[_i]);
	other = must_read(&migrated);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (has_field(other, 0, fields[i]))
			ck_field(state, 0, fields[i], value_of(other, 0, fields[i]));
	ck_assert_uint_eq(state->vcpu_count, other->vcpu_count);
	ck_assert_uint_eq(state->vcpus[1].view.have, other->vcpus[1].view.have);
	ck_assert_mem_eq(&state->vcpus[0].view.sregs, &other->vcpus[0].view.sregs,
			 sizeof(state->vcpus[0].view.sregs));
	nestmig_state_free(state);
	nestmig_state_free(other);
	stream_free(&image);
	stream_free(&migrated);
}
END_TEST

/* One image of each kind that QEMU makes. */
static const struct {
	const char *name, *wanted;
	enum nestmig_error error; /* OK: it is read */
	const char *says;
} kinds[] = {
	{"backing", NULL, NESTMIG_OK, NULL},
	{"compressed", NULL, NESTMIG_OK, NULL},
	{"dirty", "alpha", NESTMIG_OK, NULL},
	{"names", "alpha", NESTMIG_OK, NULL},
	{"names", "2", NESTMIG_OK, NULL},
	{"names", NULL, NESTMIG_ERR_INVALID, "\"beta\" (id 2"},
	{"names", "beta", NESTMIG_ERR_INVALID, "several snapshots have this name or id"},
	{"names", "1", NESTMIG_ERR_INVALID, "several snapshots have this name or id"},
	{"names", "3", NESTMIG_ERR_NOT_FOUND, "disk alone"},
	{"disk", NULL, NESTMIG_ERR_NOT_FOUND, "no snapshot in this image has VM state"},
	{"disk", "second", NESTMIG_ERR_NOT_FOUND, "disk alone"},
	{"none", NULL, NESTMIG_ERR_NOT_FOUND, "no internal snapshot"},
	{"none", "alpha", NESTMIG_ERR_NOT_FOUND, "no internal snapshot"},
	{"data-file", NULL, NESTMIG_ERR_UNSUPPORTED, "external data file"},
	{"aes", NULL, NESTMIG_ERR_UNSUPPORTED, "encrypted (method 1)"},
	{"luks", NULL, NESTMIG_ERR_UNSUPPORTED, "encrypted (method 2)"},
};

START_TEST(genuine_kinds_are_read_or_refused)
{
	struct nestmig_state *state;
	struct stream image;
	char name[64];

	snprintf(name, sizeof(name), "qcow2/%s.qcow2.zst", kinds[_i].name);
	image = read_case(name);
	if (kinds[_i].error) {
		image_refused(&image, kinds[_i].wanted, kinds[_i].error, kinds[_i].says);
	} else {
		state = must_read_image(&image, kinds[_i].wanted);
		ck_assert_uint_eq(state->vcpu_count, 2);
		ck_field(state, 0, "regs.rip", 0xfff0 + value_of(state, 0, "regs.rip") % 2);
		nestmig_state_free(state);
	}
	stream_free(&image);
}
END_TEST

/* ---- Images of our own ----------------------------------------------------------------------- */

static struct image_of one_snapshot(const struct stream *state)
{
	return (struct image_of){.version = 3,
				 .cluster_bits = 9,
				 .extra = 16,
				 .count = 1,
				 .snapshots = {{"1", "only", state, 0}}};
}

/* Sizes of clusters from 9 to 21; even: version 2. */
START_TEST(every_size_of_cluster_is_read)
{
	struct stream s = genuine("dev2"), bytes;
	struct image_of image = one_snapshot(&s);
	struct nestmig_state *state;

	image.cluster_bits = (unsigned)_i;
	image.version = _i % 2 ? 3 : 2;
	image.extra = _i % 3 * 8;
	bytes = image_make(&image);
	state = must_read_image(&bytes, NULL);
	ck_assert_uint_eq(state->vcpu_count, 2);
	ck_assert(nm_vcpu_has(&state->vcpus[1], NESTMIG_HAVE(VMCB12)));
	check_stream(state, &s);
	nestmig_state_free(state);
	stream_free(&bytes);
	if (_i >= 14) {
		image = one_snapshot(&s);
		image.cluster_bits = (unsigned)_i;
		image.extended = true;
		image.extra = 24;
		bytes = image_make(&image);
		state = must_read_image(&bytes, "only");
		check_stream(state, &s);
		nestmig_state_free(state);
		stream_free(&bytes);
	}
	stream_free(&s);
}
END_TEST

START_TEST(a_full_stream_is_read)
{
	struct stream s = genuine("full1"), bytes;
	struct image_of image = one_snapshot(&s);
	struct nestmig_state *state;

	image.extra = 1024; /* the most that QEMU takes */
	bytes = image_make(&image);
	state = must_read_image(&bytes, "1");
	check_stream(state, &s);
	ck_assert_uint_eq(state->vcpus[0].view.nested.flags & KVMNS_GUEST_MODE, KVMNS_GUEST_MODE);
	nestmig_state_free(state);
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

START_TEST(the_snapshot_is_chosen)
{
	struct stream a = genuine("dev1"), b = genuine("l1only"), bytes;
	struct image_of image = one_snapshot(NULL);
	struct nestmig_state *state;

	image.count = 0;
	bytes = image_make(&image);
	image_refused(&bytes, NULL, NESTMIG_ERR_NOT_FOUND, "no internal snapshot");
	stream_free(&bytes);

	image.count = 2;
	image.snapshots[0] = (struct snapshot_of){"1", "disk", NULL, 0};
	image.snapshots[1] = (struct snapshot_of){"2", "3", NULL, 0};
	bytes = image_make(&image);
	image_refused(&bytes, NULL, NESTMIG_ERR_NOT_FOUND,
		      "\"disk\" (id 1, 1970-01-01 00:00:00 UTC, no VM state), \"3\" (id 2, "
		      "1970-01-02 00:00:00 UTC, no VM state)");
	image_refused(&bytes, "disk", NESTMIG_ERR_NOT_FOUND, "disk alone");
	stream_free(&bytes);

	/* One with VM state needs no name; names and ids that fit two are refused. */
	image.count = 3;
	image.snapshots[2] = (struct snapshot_of){"3", "state\033[1m", &a, 0};
	bytes = image_make(&image);
	state = must_read_image(&bytes, NULL);
	check_stream(state, &a);
	nestmig_state_free(state);
	image_refused(&bytes, "3", NESTMIG_ERR_INVALID, "\"state?[1m\" (id 3");
	stream_free(&bytes);

	image.count = 4;
	image.snapshots[3] = (struct snapshot_of){"4", "disk", &b, 0};
	bytes = image_make(&image);
	image_refused(&bytes, "disk", NESTMIG_ERR_INVALID, "several");
	image_refused(&bytes, "", NESTMIG_ERR_NOT_FOUND, "no snapshot has this name");
	state = must_read_image(&bytes, "4");
	check_stream(state, &b);
	nestmig_state_free(state);
	stream_free(&bytes);
	stream_free(&a);
	stream_free(&b);
}
END_TEST

START_TEST(a_long_list_ends)
{
	struct stream table = {0}, bytes;
	struct image_of image = one_snapshot(NULL);

	bytes = image_make(&image);
	for (unsigned i = 0; i < 1000; i++)
		put(&table, bytes.p + image.entry[0], 64);
	set_be(bytes.p + 60, 1000, 4);
	replace(&bytes, image.entry[0], 64, table.p, table.size);
	image_refused(&bytes, NULL, NESTMIG_ERR_NOT_FOUND, "and 99");
	set_be(bytes.p + 60, 1001, 4);
	bytes.size = image.entry[0] + table.size;
	image_refused(&bytes, NULL, NESTMIG_ERR_TRUNCATED, "the file ends");
	set_be(bytes.p + 60, 65537, 4);
	image_refused(&bytes, NULL, NESTMIG_ERR_LIMIT, "65537 snapshots");
	stream_free(&bytes);
	stream_free(&table);
}
END_TEST

/* ---- What is not read, and damage ------------------------------------------------------------ */

/* A field: in the header, or of an entry of a table. */
enum where { HEADER, ENTRY, L1, L2 };

static const struct {
	enum where where;
	unsigned offset, width;
	uint64_t value;
	enum nestmig_error error;
	const char *says;
} damage[] = {
	{HEADER, 4, 4, 1, NESTMIG_ERR_UNSUPPORTED, "version 1;"},
	{HEADER, 4, 4, 4, NESTMIG_ERR_UNSUPPORTED, "version 4;"},
	{HEADER, 20, 4, 8, NESTMIG_ERR_FORMAT, "clusters of 2^8"},
	{HEADER, 20, 4, 22, NESTMIG_ERR_FORMAT, "clusters of 2^22"},
	{HEADER, 20, 4, 0xffffffff, NESTMIG_ERR_FORMAT, "clusters"},
	{HEADER, 32, 4, 1, NESTMIG_ERR_UNSUPPORTED, "encrypted"},
	{HEADER, 32, 4, 2, NESTMIG_ERR_UNSUPPORTED, "encrypted"},
	{HEADER, 60, 4, 0x10001, NESTMIG_ERR_LIMIT, "65537 snapshots"},
	{HEADER, 64, 8, 0x201, NESTMIG_ERR_FORMAT, "snapshot table"},
	{HEADER, 64, 8, UINT64_MAX - 511, NESTMIG_ERR_TRUNCATED, "the file ends"},
	{HEADER, 64, 8, UINT64_C(1) << 62, NESTMIG_ERR_TRUNCATED, "the file ends"},
	{HEADER, 72, 8, 2, NESTMIG_ERR_UNSUPPORTED, "corrupt"},
	{HEADER, 72, 8, 4, NESTMIG_ERR_UNSUPPORTED, "external data file"},
	{HEADER, 72, 8, 0x20, NESTMIG_ERR_UNSUPPORTED, "0x20"},
	{HEADER, 72, 8, 0x10, NESTMIG_ERR_FORMAT, "extended L2"},
	{HEADER, 100, 4, 72, NESTMIG_ERR_FORMAT, "72 bytes"},
	{ENTRY, 0, 8, 0x600 + 8, NESTMIG_ERR_FORMAT, "no start of a cluster"},
	{ENTRY, 0, 8, UINT64_C(1) << 40, NESTMIG_ERR_TRUNCATED, "runs past the end"},
	{ENTRY, 0, 8, UINT64_MAX - 511, NESTMIG_ERR_TRUNCATED, "runs past the end"},
	{ENTRY, 8, 4, 0, NESTMIG_ERR_FORMAT, "does not go with a disk"},
	{ENTRY, 8, 4, 2, NESTMIG_ERR_TRUNCATED, "covers 0"},
	{ENTRY, 8, 4, 0x400001, NESTMIG_ERR_LIMIT, "entries, more than"},
	{ENTRY, 8, 4, 0xffffffff, NESTMIG_ERR_LIMIT, "entries, more than"},
	{ENTRY, 8, 4, 0x400000, NESTMIG_ERR_TRUNCATED, "runs past the end"},
	{ENTRY, 12, 2, 128, NESTMIG_ERR_LIMIT, "the id of a snapshot"},
	{ENTRY, 14, 2, 256, NESTMIG_ERR_LIMIT, "the name of a snapshot"},
	{ENTRY, 12, 2, 3, NESTMIG_ERR_FORMAT, "zero byte"},
	{ENTRY, 36, 4, 1025, NESTMIG_ERR_LIMIT, "extra data"},
	{ENTRY, 36, 4, 0xffffffff, NESTMIG_ERR_LIMIT, "extra data"},
	{ENTRY, 40, 8, 0, NESTMIG_ERR_NOT_FOUND, "no VM state"},
	{ENTRY, 40, 8, 1, NESTMIG_ERR_TRUNCATED, "byte 1 of the VM state"},
	{ENTRY, 40, 8, UINT64_MAX, NESTMIG_ERR_FORMAT, "18446744073709551615 bytes"},
	{ENTRY, 40, 8, 0x10000, NESTMIG_ERR_TRUNCATED, "but the whole image has"},
	/* Zeros that end at a multiple of 512 are padding. */
	{ENTRY, 40, 8, 0x99ff, NESTMIG_ERR_FORMAT, "follow"},
	{ENTRY, 48, 8, UINT64_MAX, NESTMIG_ERR_FORMAT, "does not go with a disk"},
	{ENTRY, 48, 8, 0x18000, NESTMIG_ERR_TRUNCATED, "covers 32768"},
	{L1, 0, 8, UINT64_C(1) << 55, NESTMIG_ERR_TRUNCATED, "of the image"},
	{L1, 0, 8, 0, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream"},
	{L2, 0, 8, UINT64_C(1) << 62 | 0x800, NESTMIG_ERR_UNSUPPORTED, "compressed"},
	{L2, 0, 8, UINT64_C(1) << 55, NESTMIG_ERR_TRUNCATED, "of the image"},
	{L2, 0, 8, 0, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream"},
	{L2, 0, 8, 1, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream"},
};

static size_t place_in_image(const struct image_of *image, enum where where)
{
	switch (where) {
	case ENTRY:
		return image->entry[0];
	case L1:
		return image->l1;
	case L2:
		return image->l2;
	default:
		return 0;
	}
}

START_TEST(damage_is_named)
{
	struct stream s = genuine("dev1"), bytes;
	struct image_of image = one_snapshot(&s);

	bytes = image_make(&image);
	set_be(bytes.p + place_in_image(&image, damage[_i].where) + damage[_i].offset,
	       damage[_i].value, damage[_i].width);
	image_refused(&bytes, NULL, damage[_i].error, damage[_i].says);
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

/* What version 2 and extended entries do not have, and clusters larger than their offsets' grain. */
START_TEST(entries_of_other_kinds_are_refused)
{
	struct stream s = genuine("dev1"), bytes;
	struct image_of image = one_snapshot(&s);

	image.version = 2;
	bytes = image_make(&image);
	bytes.p[image.l2 + 7] |= 1;
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "zero flag");
	stream_free(&bytes);

	image = one_snapshot(&s);
	image.cluster_bits = 16;
	image.extended = true;
	bytes = image_make(&image);
	bytes.p[image.l2 + 7] |= 1;
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "zero flag");
	bytes.p[image.l2 + 7] &= 0xfe;
	set_be(bytes.p + image.l2 + 8, UINT64_MAX, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "is zero");
	set_be(bytes.p + image.l2 + 8, 0, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream");
	set_be(bytes.p + image.l2 + 8, 0xffffffff, 8);
	bytes.p[image.l2 + 6] |= 2;
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "no start of a cluster");
	set_be(bytes.p + image.l2, 0, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "no place");
	bytes.p[image.l1 + 6] |= 2;
	image_refused(&bytes, NULL, NESTMIG_ERR_FORMAT, "no start of a cluster");
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

/* Every byte of the image counts but those behind the end of the stream in its last cluster. */
START_TEST(every_truncation_is_found)
{
	struct stream s = genuine("l1only"), bytes;
	struct image_of image = one_snapshot(&s);
	size_t needed;

	bytes = image_make(&image);
	needed = bytes.size - (512 - s.size % 512) % 512;
	for (size_t size = 0; size <= bytes.size; size++) {
		uint8_t *cut = malloc(size + 1);
		struct nestmig_state *state = NULL;
		struct nestmig_detail detail = {0};
		enum nestmig_error error;

		memcpy(cut, bytes.p, size);
		error = image_read(cut, size, NULL, &state, &detail);
		ck_assert_msg(size < needed ? error == NESTMIG_ERR_TRUNCATED : error == NESTMIG_OK,
			      "%zu of %zu bytes: %s: %s", size, needed, nestmig_error_name(error),
			      detail.text);
		nestmig_state_free(state);
		free(cut);
	}
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

/* Whatever stands in a field: an answer. Each starts where it can overlap its neighbours, too. */
START_TEST(every_field_takes_hostile_values)
{
	static const uint64_t values[] = {0,
					  1,
					  0x1ff,
					  0x200,
					  0x400,
					  0x600,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  UINT64_C(1) << 32,
					  INT64_MAX,
					  UINT64_C(1) << 63,
					  UINT64_MAX - 511,
					  UINT64_MAX};
	struct stream s = genuine("l1only"), bytes;
	struct image_of image = one_snapshot(&s);
	size_t ends[][2] = {{0, 104}, {0, 64}, {0, 512}, {0, 512}};

	bytes = image_make(&image);
	for (enum where where = HEADER; where <= L2; where++)
		for (size_t at = ends[where][0]; at < ends[where][1]; at += 2)
			for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
				size_t place = place_in_image(&image, where) + at;
				struct nestmig_state *state = NULL;
				struct nestmig_detail detail = {0};
				uint8_t saved[8];

				memcpy(saved, bytes.p + place, sizeof(saved));
				set_be(bytes.p + place, values[i], 8);
				if (image_read(bytes.p, bytes.size, NULL, &state, &detail) ==
				    NESTMIG_OK)
					ck_assert_uint_eq(state->vcpu_count, 1);
				nestmig_state_free(state);
				memcpy(bytes.p + place, saved, sizeof(saved));
			}
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

/* What is not in an image with a backing file may be in that one. */
START_TEST(what_may_be_in_the_backing_file_is_not_zero)
{
	struct stream s = genuine("dev1"), bytes;
	struct image_of image = one_snapshot(&s);
	struct nestmig_state *state;

	bytes = image_make(&image);
	set_be(bytes.p + 8, 104, 8);
	state = must_read_image(&bytes, NULL);
	check_stream(state, &s);
	nestmig_state_free(state);
	bytes.p[image.l2 + 7] |= 1; /* zero, whatever the backing file has */
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream");
	set_be(bytes.p + image.l2, 0, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "backing file");
	set_be(bytes.p + image.l1, 0, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "backing file");
	stream_free(&bytes);

	image = one_snapshot(&s);
	image.cluster_bits = 16;
	image.extended = true;
	bytes = image_make(&image);
	set_be(bytes.p + 8, 112, 8);
	set_be(bytes.p + image.l2 + 8, 0xfffffffe, 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "backing file");
	set_be(bytes.p + image.l2 + 8, UINT64_C(0x1fffffffe), 8);
	image_refused(&bytes, NULL, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream");
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

/* ---- mapped-ram ------------------------------------------------------------------------------ */

/* The start of a stream whose configuration has a capability. */
static void put_capability(struct stream *s, const char *name)
{
	put_file_header(s);
	put_be(s, 7, 1);
	put_be(s, 6, 4);
	put(s, "pc-q35", 6);
	put_subsection(s, "configuration/capabilities");
	put_be(s, 2, 4);
	put_name(s, "x-colo");
	put_name(s, name);
}

/* Tables that are looked at one after the other, but lead to no end. */
START_TEST(empty_tables_end_the_search)
{
	struct stream s = {0}, bytes, table = {0};
	struct image_of image = one_snapshot(&s);
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	put_capability(&s, "mapped-ram");
	put_fill(&s, 0x55, 1000 - s.size);
	image.snapshots[0].recorded = 1000;
	bytes = image_make(&image);
	/* An L1 table at the end of the image: the disk's, the state's, and then an empty L2 table often. */
	put(&table, bytes.p + image.l1 - 8 * 2, 8 * 3);
	for (unsigned i = 0; i < 16; i++)
		put_be(&table, bytes.size, 8);
	set_be(bytes.p + image.entry[0], bytes.size + 512, 8);
	set_be(bytes.p + image.entry[0] + 8, 2 + 1 + 16, 4);
	put_fill(&bytes, 0, 512);
	put(&bytes, table.p, table.size);
	ck_assert_int_ne(image_read(bytes.p, bytes.size, NULL, &state, &detail), NESTMIG_OK);
	ck_assert_ptr_nonnull(state->stream);
	ck_assert_uint_eq(nm_source_size(state->stream), 1024);
	nestmig_state_free(state);
	/* One more. */
	put_be(&bytes, bytes.size - table.size - 512, 8);
	set_be(bytes.p + image.entry[0] + 8, 2 + 1 + 17, 4);
	image_refused(&bytes, NULL, NESTMIG_ERR_LIMIT, "more than 16 L2 tables");
	stream_free(&bytes);
	stream_free(&table);
	stream_free(&s);
}
END_TEST

/* With mapped-ram the recorded size is too small: the clusters say where the stream ends. */
START_TEST(the_recorded_size_does_not_count_with_mapped_ram)
{
	static const char *const names[] = {"mapped-ram", "x-ignore-shared"};
	struct stream s = {0}, bytes;
	struct image_of image = one_snapshot(&s);
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	uint8_t byte = 0;

	put_capability(&s, names[_i]);
	put_fill(&s, 0x55, 100000 - s.size);
	image.snapshots[0].recorded = 1000;
	bytes = image_make(&image);
	/* The stream itself is none: only its source is looked at. */
	ck_assert_int_ne(image_read(bytes.p, bytes.size, NULL, &state, &detail), NESTMIG_OK);
	ck_assert_ptr_nonnull(state->stream);
	ck_assert_uint_eq(nm_source_size(state->stream), _i ? 1000 : (100000 + 511) / 512 * 512);
	ck_ok(nm_source_read(state->stream, _i ? 999 : 99999, &byte, 1, &detail), detail);
	ck_assert_uint_eq(byte, 0x55);
	nestmig_state_free(state);
	/* A hole at the end of the tables. */
	set_be(bytes.p + image.l2 + 8 * ((100000 - 1) / 512), 0, 8);
	ck_assert_int_ne(image_read(bytes.p, bytes.size, NULL, &state, &detail), NESTMIG_OK);
	ck_assert_uint_eq(nm_source_size(state->stream), _i ? 1000 : (100000 - 1) / 512 * 512);
	nestmig_state_free(state);
	stream_free(&bytes);
	stream_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qcow2");
	TCase *tcase = tcase_create("qcow2");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, genuine_images_are_read, 0, 5);
	tcase_add_loop_test(tcase, a_snapshot_holds_what_a_migration_does, 0, 2);
	tcase_add_loop_test(tcase, genuine_kinds_are_read_or_refused, 0,
			    sizeof(kinds) / sizeof(kinds[0]));
	tcase_add_loop_test(tcase, every_size_of_cluster_is_read, 9, 22);
	tcase_add_test(tcase, a_full_stream_is_read);
	tcase_add_test(tcase, the_snapshot_is_chosen);
	tcase_add_test(tcase, a_long_list_ends);
	tcase_add_loop_test(tcase, damage_is_named, 0, sizeof(damage) / sizeof(damage[0]));
	tcase_add_test(tcase, entries_of_other_kinds_are_refused);
	tcase_add_test(tcase, every_truncation_is_found);
	tcase_add_test(tcase, every_field_takes_hostile_values);
	tcase_add_test(tcase, what_may_be_in_the_backing_file_is_not_zero);
	tcase_add_test(tcase, empty_tables_end_the_search);
	tcase_add_loop_test(tcase, the_recorded_size_does_not_count_with_mapped_ram, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
