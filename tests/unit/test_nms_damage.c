// SPDX-License-Identifier: GPL-2.0-or-later
/* .nms: a file that is cut, changed or shuffled in any way is never taken for a good one. */
#include "test_nms_util.h"

static const unsigned modes[] = {0, NESTMIG_READ_SKIP_RAM_CHECKSUM};
#define MODES (int)(sizeof(modes) / sizeof(modes[0]))

static void must_fail(const uint8_t *bytes, size_t size, unsigned flags, const char *what,
		      size_t at)
{
	struct nestmig_detail detail;
	enum nestmig_error error = open_all(bytes, size, flags, &detail);

	ck_assert_msg(error != NESTMIG_OK, "%s at %zu is not found", what, at);
	ck_assert_msg(error == NESTMIG_ERR_FORMAT || error == NESTMIG_ERR_TRUNCATED ||
			      error == NESTMIG_ERR_CHECKSUM || error == NESTMIG_ERR_LIMIT ||
			      error == NESTMIG_ERR_UNSUPPORTED,
		      "%s at %zu: %s", what, at, nestmig_error_name(error));
	ck_assert_msg(detail.has_offset, "%s at %zu: no offset", what, at);
	ck_assert_msg(detail.offset <= size, "%s at %zu: offset %ju", what, at,
		      (uintmax_t)detail.offset);
	ck_assert_msg(detail.text[0], "%s at %zu: no text", what, at);
}

START_TEST(sample_is_good)
{
	struct nestmig_detail detail;
	size_t size;
	uint8_t *bytes = sample_bytes(&size);

	ck_ok(open_all(bytes, size, modes[_i], &detail), detail);
	free(bytes);
}
END_TEST

/* Each length in memory of just that size, so that a sanitizer sees any read beyond it. */
START_TEST(truncated_at_every_byte)
{
	size_t size;
	uint8_t *bytes = sample_bytes(&size);

	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *copy = malloc(cut + !cut);
		struct nestmig_detail detail;

		memcpy(copy, bytes, cut);
		must_fail(copy, cut, modes[_i], "a cut", cut);
		ck_assert_int_eq(open_all(copy, cut, modes[_i], &detail), NESTMIG_ERR_TRUNCATED);
		ck_assert_uint_eq(detail.offset, cut);
		free(copy);
	}
	free(bytes);
}
END_TEST

START_TEST(every_bit_flipped)
{
	size_t size;
	uint8_t *bytes = sample_bytes(&size);

	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must_fail(bytes, size, modes[_i], "a flipped bit", bit);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(bytes);
}
END_TEST

START_TEST(every_byte_removed_or_doubled)
{
	size_t size;
	uint8_t *bytes = sample_bytes(&size);
	uint8_t *copy = malloc(size + 1);

	for (size_t i = 0; i < size; i++) {
		memcpy(copy, bytes, i);
		memcpy(copy + i, bytes + i + 1, size - i - 1);
		must_fail(copy, size - 1, modes[_i], "a byte removed", i);
		memcpy(copy, bytes, i + 1);
		memcpy(copy + i + 1, bytes + i, size - i);
		must_fail(copy, size + 1, modes[_i], "a byte doubled", i);
	}
	free(copy);
	free(bytes);
}
END_TEST

/* Zeros are what a crash leaves of blocks that were not written. */
START_TEST(zeros_from_every_byte)
{
	size_t size;
	uint8_t *bytes = sample_bytes(&size);

	for (size_t i = size; i-- > 0;) {
		bytes[i] = 0;
		/* The end of the file may have been zero anyway. */
		if (i < size - 8)
			must_fail(bytes, size, modes[_i], "zeros", i);
	}
	free(bytes);
}
END_TEST

/* ---- Whole records --------------------------------------------------------------------------- */

#define MAX_PARTS 20

/* The file header and the records of a file. */
struct parts {
	size_t offset[MAX_PARTS + 1];
	size_t count;
};

static void find_parts(const uint8_t *bytes, size_t size, struct parts *parts)
{
	size_t at = NMS_HEADER_SIZE;

	for (parts->count = 0; at < size; parts->count++) {
		uint64_t length = get64(bytes + at + 8);

		ck_assert_uint_lt(parts->count, MAX_PARTS);
		parts->offset[parts->count] = at;
		at += NMS_HEADER_SIZE + length + nms_padding(length);
	}
	parts->offset[parts->count] = size;
}

static size_t append(uint8_t *to, size_t at, const uint8_t *bytes, const struct parts *parts,
		     size_t i)
{
	size_t length = parts->offset[i + 1] - parts->offset[i];

	memcpy(to + at, bytes + parts->offset[i], length);
	return at + length;
}

/* Puts the records together in the order of a list, and makes checksums of headers that fit their
 * new places if asked: then only END can tell. */
static size_t put_together(uint8_t *to, const uint8_t *bytes, const struct parts *parts,
			   const size_t *list, size_t count, bool mends)
{
	size_t at = NMS_HEADER_SIZE;

	memcpy(to, bytes, NMS_HEADER_SIZE);
	for (size_t i = 0; i < count; i++) {
		size_t start = at;

		at = append(to, at, bytes, parts, list[i]);
		if (mends)
			nms_put64(to + start + NMS_HEADER_SUM,
				  XXH3_64bits_withSeed(to + start, NMS_HEADER_SUM, start));
	}
	return at;
}

static void check_list(const uint8_t *bytes, size_t size, const struct parts *parts,
		       const size_t *list, size_t count, const char *what, size_t at)
{
	uint8_t *to = malloc(2 * size);

	for (int mends = 0; mends < 2; mends++) {
		size_t made = put_together(to, bytes, parts, list, count, mends);

		for (int i = 0; i < MODES; i++)
			must_fail(to, made, modes[i], what, at);
	}
	free(to);
}

START_TEST(records_shuffled)
{
	size_t size, list[MAX_PARTS + 1];
	uint8_t *bytes = sample_bytes(&size);
	struct parts parts;

	find_parts(bytes, size, &parts);
	for (size_t i = 0; i < parts.count; i++) {
		size_t n = 0;

		for (size_t j = 0; j < parts.count; j++)
			if (j != i)
				list[n++] = j;
		check_list(bytes, size, &parts, list, n, "a record dropped", i);
		n = 0;
		for (size_t j = 0; j < parts.count; j++) {
			list[n++] = j;
			if (j == i)
				list[n++] = j;
		}
		check_list(bytes, size, &parts, list, n, "a record doubled", i);
		for (size_t k = i + 1; k < parts.count; k++) {
			for (size_t j = 0; j < parts.count; j++)
				list[j] = j == i ? k : j == k ? i : j;
			check_list(bytes, size, &parts, list, parts.count, "records swapped", i);
		}
	}
	free(bytes);
}
END_TEST

/* Two records of equal size whose headers fit either place: only the offset in their checksums, and
 * END, tell them apart. */
START_TEST(optional_records_swapped)
{
	static struct made made;
	struct parts parts;
	size_t list[] = {0, 2, 1, 3, 4};

	made_start(&made);
	made_source(&made);
	made_add(&made, NM_NMS_OPTIONAL | 0x1234, 0, "abc", 3);
	made_add(&made, NM_NMS_OPTIONAL | 0x1234, 0, "def", 3);
	made_add(&made, NM_NMS_REGS, 0, "abc", 3);
	made_end(&made);
	find_parts(made.bytes, made.size, &parts);
	check_list(made.bytes, made.size, &parts, list, 5, "records swapped", 1);
}
END_TEST

/* A record of another file, at the very same place, and with good checksums. */
START_TEST(record_of_another_file)
{
	static struct made one, two;

	made_start(&one);
	made_source(&one);
	made_add(&one, NM_NMS_REGS, 0, "abc", 3);
	made_end(&one);
	made_start(&two);
	made_source(&two);
	made_add(&two, NM_NMS_REGS, 0, "def", 3);
	made_end(&two);
	ck_assert_uint_eq(one.size, two.size);
	memcpy(one.bytes, two.bytes, one.size - NMS_HEADER_SIZE - NMS_END_SIZE);
	must_fail(one.bytes, one.size, 0, "a record of another file", 0);
}
END_TEST

START_TEST(error_is_where_it_is)
{
	struct nestmig_detail detail;
	struct parts parts;
	size_t size;
	uint8_t *bytes = sample_bytes(&size);

	find_parts(bytes, size, &parts);
	for (size_t i = 0; i < parts.count; i++) {
		uint8_t *byte = bytes + parts.offset[i] + NMS_HEADER_SIZE + 1;

		*byte ^= 1;
		ck_assert_int_eq(open_all(bytes, size, 0, &detail), NESTMIG_ERR_CHECKSUM);
		ck_assert_uint_eq(detail.offset, parts.offset[i] + NMS_HEADER_SIZE);
		*byte ^= 1;
		byte = bytes + parts.offset[i];
		*byte ^= 1;
		ck_assert_int_eq(open_all(bytes, size, 0, &detail), NESTMIG_ERR_CHECKSUM);
		ck_assert_uint_eq(detail.offset, parts.offset[i]);
		*byte ^= 1;
	}
	free(bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nms damage");
	TCase *bytes = tcase_create("bytes");
	TCase *records = tcase_create("records");

	tcase_set_timeout(bytes, 300);
	tcase_add_loop_test(bytes, sample_is_good, 0, MODES);
	tcase_add_loop_test(bytes, truncated_at_every_byte, 0, MODES);
	tcase_add_loop_test(bytes, every_bit_flipped, 0, MODES);
	tcase_add_loop_test(bytes, every_byte_removed_or_doubled, 0, MODES);
	tcase_add_loop_test(bytes, zeros_from_every_byte, 0, MODES);
	tcase_set_timeout(records, 60);
	tcase_add_test(records, records_shuffled);
	tcase_add_test(records, optional_records_swapped);
	tcase_add_test(records, record_of_another_file);
	tcase_add_test(records, error_is_where_it_is);
	suite_add_tcase(suite, bytes);
	suite_add_tcase(suite, records);
	return run_suite(suite);
}
