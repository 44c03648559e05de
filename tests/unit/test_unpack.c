// SPDX-License-Identifier: GPL-2.0-or-later
/* Compressed streams as sources: what they give, what they keep, and how each kind of damage is named. */
#include "packed.h"

/* More than what is kept of the end, and no multiple of anything. */
#define SIZE ((20U << 20) + 12345)

static struct stream plain;

/* Bytes that differ everywhere, and that all formats compress, for the most part. */
static void make_plain(void)
{
	uint64_t x = 88172645463325252U;

	plain.room = plain.size = SIZE;
	plain.p = malloc(SIZE);
	ck_assert_ptr_nonnull(plain.p);
	for (size_t i = 0; i < SIZE; i++) {
		if (i % 64 == 0 || (i >> 18) % 16 == 3) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		plain.p[i] = (uint8_t)(x >> (8 * (i % 8)));
	}
}

static void drop_plain(void)
{
	stream_free(&plain);
}

/* A source over a packed stream that starts at an offset. */
struct packed {
	struct stream bytes;
	struct nm_source *file, *source;
	enum nestmig_error error;
	struct nestmig_detail detail;
};

static void open_packed(struct packed *p, size_t offset, enum nm_packing packing)
{
	ck_ok(nm_source_memory(p->bytes.p, p->bytes.size, &p->file, &p->detail), p->detail);
	p->error = nm_unpack_source(p->file, offset, packing, &p->source, &p->detail);
}

static void close_packed(struct packed *p)
{
	nm_source_free(p->source);
	nm_source_free(p->file);
	stream_free(&p->bytes);
	*p = (struct packed){0};
}

static void must_open(struct packed *p, enum nm_packing packing)
{
	open_packed(p, 0, packing);
	ck_ok(p->error, p->detail);
}

static void ck_same(struct packed *p, uint64_t offset, size_t length)
{
	uint8_t *bytes = malloc(length);

	ck_ok(nm_source_read(p->source, offset, bytes, length, &p->detail), p->detail);
	ck_assert_int_eq(memcmp(bytes, plain.p + offset, length), 0);
	free(bytes);
}

START_TEST(all_of_it_can_be_read)
{
	enum nm_packing packing = NM_PACKING_NONE + 1 + _i;
	struct packed p = {0};

	put(&p.bytes, "12345", 5);
	pack(&p.bytes, packing, plain.p, plain.size);
	ck_assert_int_eq(nm_packing_of(p.bytes.p + 5, p.bytes.size - 5), packing);
	open_packed(&p, 5, packing);
	ck_ok(p.error, p.detail);
	ck_assert_uint_eq(nm_source_size(p.source), SIZE);
	ck_same(&p, 0, 100);
	ck_same(&p, SIZE - 1000, 1000);
	ck_same(&p, (64 << 10) - 10, 20);
	ck_same(&p, SIZE - (16 << 20) - 10, 20);
	ck_same(&p, 1 << 20, 5 << 20);
	ck_same(&p, 0, SIZE);
	ck_assert_int_eq(nm_source_read(p.source, SIZE - 1, &(uint16_t){0}, 2, NULL),
			 NESTMIG_ERR_TRUNCATED);
	close_packed(&p);
}
END_TEST

START_TEST(head_and_end_cost_no_second_pass)
{
	struct packed p = {0};
	uint64_t before;

	pack(&p.bytes, NM_PACKING_ZSTD, plain.p, plain.size);
	must_open(&p, NM_PACKING_ZSTD);
	before = nm_source_bytes_read(p.file);
	ck_assert_uint_eq(before, p.bytes.size);
	ck_same(&p, 0, 64 << 10);
	ck_same(&p, SIZE - (16 << 20), 16 << 20);
	ck_assert_uint_eq(nm_source_bytes_read(p.file), before);
	ck_same(&p, 4 << 20, 1 << 20);
	for (unsigned i = 0; i < 100; i++)
		ck_same(&p, 100000 + i * 5000, 100);
	ck_assert_uint_le(nm_source_bytes_read(p.file), 3 * before);
	ck_assert_uint_eq(nm_source_bytes_read(p.source), 0);
	close_packed(&p);
}
END_TEST

/* What is packed ends far behind where its last 16 MiB begin to be kept. */
START_TEST(the_end_of_a_large_file_is_kept)
{
	const size_t packed = 28U << 20;
	struct packed p = {0};
	uint64_t x = 1;
	uint8_t *noise = malloc(packed), *end = malloc(16 << 20);

	ck_assert_ptr_nonnull(noise);
	ck_assert_ptr_nonnull(end);
	for (size_t i = 0; i < packed; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		noise[i] = (uint8_t)(x >> 56);
	}
	pack(&p.bytes, NM_PACKING_ZSTD, noise, packed);
	ck_assert_uint_ge(p.bytes.size, packed);
	must_open(&p, NM_PACKING_ZSTD);
	ck_assert_uint_eq(nm_source_size(p.source), packed);
	ck_ok(nm_source_read(p.source, packed - (16 << 20), end, 16 << 20, &p.detail), p.detail);
	ck_assert_int_eq(memcmp(end, noise + packed - (16 << 20), 16 << 20), 0);
	ck_ok(nm_source_read(p.source, 0, end, 64 << 10, &p.detail), p.detail);
	ck_assert_int_eq(memcmp(end, noise, 64 << 10), 0);
	ck_assert_uint_eq(nm_source_bytes_read(p.file), p.bytes.size);
	free(noise);
	free(end);
	close_packed(&p);
}
END_TEST

START_TEST(going_back_and_forth_ends)
{
	enum nestmig_error error = NESTMIG_OK;
	struct packed p = {0};
	uint8_t byte;
	unsigned i;

	pack(&p.bytes, NM_PACKING_ZSTD, plain.p, plain.size);
	must_open(&p, NM_PACKING_ZSTD);
	for (i = 0; i < 100 && !error; i++)
		error = nm_source_read(p.source, i % 2 ? 100000 : 3 << 20, &byte, 1, &p.detail);
	ck_assert_int_eq(error, NESTMIG_ERR_LIMIT);
	ck_assert_uint_eq(i, 2 * NM_UNPACK_PASSES);
	close_packed(&p);
}
END_TEST

START_TEST(what_is_kept_can_be_read_in_any_order)
{
	struct packed p = {0};

	pack(&p.bytes, NM_PACKING_LZOP, plain.p, plain.size);
	must_open(&p, NM_PACKING_LZOP);
	for (unsigned i = 0; i < 40; i++)
		ck_ok(nm_source_keep(p.source, 70000 + i * 99991, 4096, &p.detail), p.detail);
	for (unsigned i = 40; i-- > 0;) {
		ck_same(&p, 70000 + i * 99991, 4096);
		ck_same(&p, 70000 + i * 99991 + 4000, 96);
	}
	ck_assert_int_eq(nm_source_keep(p.source, SIZE - 10, 11, NULL), NESTMIG_ERR_TRUNCATED);
	close_packed(&p);
}
END_TEST

/* ---- Damage ----------------------------------------------------------------------------------- */

#define SMALL 300000

static void refuse_packed(struct packed *p, enum nm_packing packing, enum nestmig_error error,
			  const char *says)
{
	open_packed(p, 0, packing);
	ck_assert_msg(p->error != NESTMIG_OK, "%s: not refused", nm_packing_name(packing));
	ck_assert_ptr_null(p->source);
	ck_assert_msg(!error || p->error == error, "%s: %s instead of %s: %s",
		      nm_packing_name(packing), nestmig_error_name(p->error),
		      nestmig_error_name(error), p->detail.text);
	ck_assert_msg(strstr(p->detail.text, says) != NULL, "\"%s\" not in \"%s\"", says,
		      p->detail.text);
	ck_assert(p->detail.has_offset);
	ck_assert_uint_le(p->detail.offset, p->bytes.size);
	close_packed(p);
}

START_TEST(a_cut_is_named_wherever_it_is)
{
	enum nm_packing packing = NM_PACKING_NONE + 1 + _i;
	struct packed whole = {0}, p = {0};

	pack(&whole.bytes, packing, plain.p, SMALL);
	for (size_t size = 0; size < whole.bytes.size; size += size < 64 ? 1 : 1009) {
		put(&p.bytes, whole.bytes.p, size);
		refuse_packed(&p, packing, NESTMIG_ERR_TRUNCATED, "cut short");
	}
	for (size_t less = 1; less < 32; less++) {
		put(&p.bytes, whole.bytes.p, whole.bytes.size - less);
		refuse_packed(&p, packing, NESTMIG_ERR_TRUNCATED, "cut short");
	}
	close_packed(&whole);
}
END_TEST

/* A byte that is changed: no checksum lets it pass, or what comes out is the same. */
START_TEST(a_changed_byte_is_noticed)
{
	enum nm_packing packing = NM_PACKING_NONE + 1 + _i;
	struct packed whole = {0}, p = {0};
	unsigned refused = 0, tried = 0;

	pack(&whole.bytes, packing, plain.p, SMALL);
	for (size_t at = 0; at < whole.bytes.size; at += at < 64 ? 1 : 1013) {
		put(&p.bytes, whole.bytes.p, whole.bytes.size);
		p.bytes.p[at] ^= 0x55;
		open_packed(&p, 0, packing);
		tried++;
		if (p.error) {
			refused++;
			ck_assert(
				p.error == NESTMIG_ERR_FORMAT || p.error == NESTMIG_ERR_CHECKSUM ||
				p.error == NESTMIG_ERR_TRUNCATED || p.error == NESTMIG_ERR_LIMIT ||
				p.error == NESTMIG_ERR_UNSUPPORTED);
		} else {
			ck_assert_uint_eq(nm_source_size(p.source), SMALL);
			ck_same(&p, 0, SMALL);
		}
		close_packed(&p);
	}
	ck_assert_uint_gt(refused, tried - 16);
	close_packed(&whole);
}
END_TEST

/* Where the checksum over the content stands, counted from the end. */
static const struct {
	enum nm_packing packing;
	size_t from_end;
} checksums[] = {
	{NM_PACKING_GZIP, 8}, {NM_PACKING_GZIP, 4}, {NM_PACKING_BZIP2, 4},
	{NM_PACKING_ZSTD, 4}, {NM_PACKING_ZSTD, 1},
};

START_TEST(a_wrong_checksum_is_named)
{
	struct packed p = {0};

	pack(&p.bytes, checksums[_i].packing, plain.p, SMALL);
	p.bytes.p[p.bytes.size - checksums[_i].from_end] ^= 1;
	refuse_packed(&p, checksums[_i].packing, NESTMIG_ERR_CHECKSUM, "");
}
END_TEST

START_TEST(lzop_sums_are_verified)
{
	static const size_t spots[] = {34 /* header */, 38 + 8 /* first block */};

	for (size_t i = 0; i < 2; i++) {
		struct packed p = {0};

		pack_lzop(&p.bytes, plain.p, SMALL);
		p.bytes.p[spots[i]] ^= 1;
		refuse_packed(&p, NM_PACKING_LZOP, NESTMIG_ERR_CHECKSUM, "checksum");
	}
}
END_TEST

/* Of an lzop file: bytes at an offset, and what becomes of it. */
static const struct {
	size_t at;
	uint32_t value;
	unsigned width;
	enum nestmig_error error;
	const char *says;
} lzop_lies[] = {
	{9, 0x0900, 2, NESTMIG_ERR_UNSUPPORTED, "version"},
	{13, 0x1050, 2, NESTMIG_ERR_UNSUPPORTED, "version"},
	{17, 0x03000841, 4, NESTMIG_ERR_UNSUPPORTED, "option"},
	{38, 0xffffffff, 4, NESTMIG_ERR_LIMIT, "larger than lzop writes"},
	{38, 0x00100001, 4, NESTMIG_ERR_LIMIT, "larger than lzop writes"},
	{42, 0, 4, NESTMIG_ERR_FORMAT, "larger than what it holds"},
	{42, 0x00040001, 4, NESTMIG_ERR_FORMAT, "larger than what it holds"},
	{42, 0xffffffff, 4, NESTMIG_ERR_FORMAT, "larger than what it holds"},
	{42, 0x00000020, 4, NESTMIG_ERR_FORMAT, "cannot be unpacked"},
};

START_TEST(lzop_lengths_are_not_trusted)
{
	struct packed p = {0};

	pack_lzop(&p.bytes, plain.p, SMALL);
	set_be(p.bytes.p + lzop_lies[_i].at, lzop_lies[_i].value, lzop_lies[_i].width);
	refuse_packed(&p, NM_PACKING_LZOP, lzop_lies[_i].error, lzop_lies[_i].says);
}
END_TEST

START_TEST(what_follows_is_named)
{
	enum nm_packing packing = NM_PACKING_NONE + 1 + _i;
	struct packed p = {0};
	size_t end;

	pack(&p.bytes, packing, plain.p, SMALL);
	end = p.bytes.size;
	put_fill(&p.bytes, 0, 100);
	put(&p.bytes, "garbage", 7);
	ck_assert_uint_gt(p.bytes.size, end);
	refuse_packed(&p, packing, NESTMIG_ERR_FORMAT, "something else follows");
	/* Another format is something else, too. */
	pack(&p.bytes, packing, plain.p, SMALL);
	pack(&p.bytes, packing == NM_PACKING_GZIP ? NM_PACKING_XZ : NM_PACKING_GZIP, plain.p, 1);
	refuse_packed(&p, packing, NESTMIG_ERR_FORMAT, "something else follows");
	pack(&p.bytes, packing, plain.p, SMALL);
	put_fill(&p.bytes, 0, (1 << 20) + (1 << 19));
	refuse_packed(&p, packing, NESTMIG_ERR_FORMAT, "something else follows");
}
END_TEST

START_TEST(padding_and_a_second_stream_are_read)
{
	enum nm_packing packing = NM_PACKING_NONE + 1 + _i;
	struct packed p = {0};

	pack(&p.bytes, packing, plain.p, SMALL);
	pack(&p.bytes, packing, plain.p + SMALL, 1000);
	put_fill(&p.bytes, 0, 511);
	must_open(&p, packing);
	ck_assert_uint_eq(nm_source_size(p.source), SMALL + 1000);
	ck_same(&p, 0, SMALL + 1000);
	close_packed(&p);
}
END_TEST

/* RFC 8878, 3.1.1: a frame of blocks that are one byte, 128 KiB times. */
START_TEST(a_bomb_ends)
{
	struct packed p = {0};

	put(&p.bytes, "\x28\xb5\x2f\xfd\x00\x38", 6); /* window of 128 KiB */
	for (unsigned i = 0; i < 40000; i++)
		put(&p.bytes, "\x02\x00\x10Q", 4); /* RLE, 0x20000 */
	refuse_packed(&p, NM_PACKING_ZSTD, NESTMIG_ERR_LIMIT, "no saved state does");
}
END_TEST

START_TEST(a_large_window_is_refused)
{
	struct packed p = {0};

	put(&p.bytes, "\x28\xb5\x2f\xfd\x00\xa0", 6); /* 1 GiB */
	put(&p.bytes, "\x03\x00\x10Q", 4);
	refuse_packed(&p, NM_PACKING_ZSTD, NESTMIG_ERR_LIMIT, "memory");
}
END_TEST

START_TEST(not_every_compressed_file_is_a_stream)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;
	struct stream s = {0};

	pack(&s, NM_PACKING_NONE + 1 + _i, plain.p, _i % 2 ? 3 : SMALL);
	ck_ok(nm_state_new("test", NULL, &state, &detail), detail);
	ck_ok(nm_source_memory(s.p, s.size, &source, &detail), detail);
	ck_ok(nm_state_add_source(state, source, &detail), detail);
	ck_assert(nm_unpack_recognise(s.p, s.size));
	ck_assert_int_eq(nm_unpack_read(state, source, 0, &detail), NESTMIG_ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(detail.text, "holds no QEMU migration stream"));
	ck_assert_uint_le(nm_source_bytes_read(source), (256 << 10) + 16);
	nestmig_state_free(state);
	stream_free(&s);
}
END_TEST

/* One pass finds the devices and sees where RAM ends. */
START_TEST(ram_is_passed_while_it_is_unpacked)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;
	struct stream stream = genuine(_i ? "dev1" : "full1"), s = {0};

	pack(&s, NM_PACKING_ZSTD, stream.p, stream.size);
	ck_ok(nm_state_new("test", NULL, &state, &detail), detail);
	ck_ok(nm_source_memory(s.p, s.size, &source, &detail), detail);
	ck_ok(nm_state_add_source(state, source, &detail), detail);
	ck_ok(nm_unpack_read(state, source, 0, &detail), detail);
	ck_assert_uint_eq(state->vcpu_count, 1);
	ck_assert_uint_eq(state->ram.passed, _i ? 0 : state->ram.devices);
	ck_assert(_i || state->ram.devices);
	/* And a look at the magic first. */
	ck_assert_uint_le(nm_source_bytes_read(source), s.size + (256 << 10));
	nestmig_state_free(state);
	stream_free(&stream);
	stream_free(&s);
}
END_TEST

int main(void)
{
	const int formats = NM_PACKINGS - 1;
	Suite *suite = suite_create("unpack");
	TCase *tcase = tcase_create("unpack");

	tcase_add_checked_fixture(tcase, make_plain, drop_plain);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, all_of_it_can_be_read, 0, formats);
	tcase_add_test(tcase, head_and_end_cost_no_second_pass);
	tcase_add_test(tcase, the_end_of_a_large_file_is_kept);
	tcase_add_test(tcase, going_back_and_forth_ends);
	tcase_add_test(tcase, what_is_kept_can_be_read_in_any_order);
	tcase_add_loop_test(tcase, a_cut_is_named_wherever_it_is, 0, formats);
	tcase_add_loop_test(tcase, a_changed_byte_is_noticed, 0, formats);
	tcase_add_loop_test(tcase, a_wrong_checksum_is_named, 0,
			    sizeof(checksums) / sizeof(checksums[0]));
	tcase_add_test(tcase, lzop_sums_are_verified);
	tcase_add_loop_test(tcase, lzop_lengths_are_not_trusted, 0,
			    sizeof(lzop_lies) / sizeof(lzop_lies[0]));
	tcase_add_loop_test(tcase, what_follows_is_named, 0, formats);
	tcase_add_loop_test(tcase, padding_and_a_second_stream_are_read, 0, formats);
	tcase_add_test(tcase, a_bomb_ends);
	tcase_add_test(tcase, a_large_window_is_refused);
	tcase_add_loop_test(tcase, not_every_compressed_file_is_a_stream, 0, formats);
	tcase_add_loop_test(tcase, ram_is_passed_while_it_is_unpacked, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
