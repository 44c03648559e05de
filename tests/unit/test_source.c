// SPDX-License-Identifier: GPL-2.0-or-later
/* Sources: windows, ranges, kinds of files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"

static char dir[64], path[96];

static void setup(void)
{
	FILE *file;

	strcpy(dir, "/tmp/test-source.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	fwrite("0123456789", 1, 10, file);
	fclose(file);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static struct nm_source *open_it(void)
{
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;

	ck_ok(nm_source_open(path, &source, &detail), detail);
	return source;
}

START_TEST(windows_live_as_long_as_the_source)
{
	struct nm_source *source = open_it();
	const uint8_t *a, *b, *none;

	ck_assert_uint_eq(nm_source_size(source), 10);
	ck_assert_uint_eq(nm_source_bytes_read(source), 0);
	ck_assert_int_eq(nm_source_window(source, 2, 3, &a, NULL), NESTMIG_OK);
	ck_assert_int_eq(nm_source_window(source, 0, 10, &b, NULL), NESTMIG_OK);
	ck_assert_int_eq(nm_source_window(source, 10, 0, &none, NULL), NESTMIG_OK);
	ck_assert_mem_eq(a, "234", 3);
	ck_assert_mem_eq(b, "0123456789", 10);
	ck_assert_uint_eq(nm_source_bytes_read(source), 13);
	nm_source_free(source);
}
END_TEST

START_TEST(a_part_is_a_source_of_its_own)
{
	struct nm_source *source = open_it(), *part = NULL, *none = NULL;
	struct nestmig_detail detail = {0};
	const uint8_t *bytes;

	ck_ok(nm_source_part(source, 3, 5, &part, &detail), detail);
	ck_assert_uint_eq(nm_source_size(part), 5);
	ck_ok(nm_source_window(part, 1, 4, &bytes, &detail), detail);
	ck_assert_mem_eq(bytes, "4567", 4);
	ck_assert_int_eq(nm_source_window(part, 1, 5, &bytes, NULL), NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(nm_source_part(source, 3, 8, &none, NULL), NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(nm_source_part(source, 11, 0, &none, NULL), NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(nm_source_part(source, 1, UINT64_MAX, &none, NULL), NESTMIG_ERR_TRUNCATED);
	ck_assert_ptr_null(none);
	nm_source_free(part);
	nm_source_free(source);
}
END_TEST

START_TEST(a_sealed_source_keeps_its_windows)
{
	struct nm_source *source = open_it();
	struct nestmig_detail detail = {0};
	const uint8_t *a, *b = NULL;

	ck_assert_int_eq(nm_source_window(source, 2, 3, &a, NULL), NESTMIG_OK);
	nm_source_seal(source);
	ck_assert_mem_eq(a, "234", 3);
	ck_assert_int_eq(nm_source_window(source, 2, 3, &b, &detail), NESTMIG_ERR_INVALID);
	ck_assert_ptr_null(b);
	ck_assert_uint_eq(nm_source_bytes_read(source), 3);
	nm_source_free(source);
}
END_TEST

static const struct {
	uint64_t offset;
	size_t length;
} outside[] = {
	{0, 11}, {11, 0}, {10, 1}, {9, 2}, {UINT64_MAX, 1}, {1, SIZE_MAX}, {UINT64_MAX, SIZE_MAX}};

START_TEST(a_range_outside_is_truncated)
{
	struct nm_source *source = open_it();
	struct nestmig_detail detail = {0};
	const uint8_t *bytes = NULL;
	uint8_t buffer[16];

	ck_assert_int_eq(
		nm_source_window(source, outside[_i].offset, outside[_i].length, &bytes, &detail),
		NESTMIG_ERR_TRUNCATED);
	ck_assert_ptr_null(bytes);
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, 10);
	ck_assert_int_eq(
		nm_source_read(source, outside[_i].offset, buffer, outside[_i].length, NULL),
		NESTMIG_ERR_TRUNCATED);
	ck_assert_uint_eq(nm_source_bytes_read(source), 0);
	nm_source_free(source);
}
END_TEST

START_TEST(a_file_that_becomes_shorter_is_an_error)
{
	struct nm_source *source = open_it();
	struct nestmig_detail detail = {0};
	const uint8_t *bytes = NULL;

	ck_assert_int_eq(truncate(path, 4), 0);
	ck_assert_int_eq(nm_source_window(source, 0, 10, &bytes, &detail), NESTMIG_ERR_TRUNCATED);
	ck_assert_ptr_null(bytes);
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, 4);
	nm_source_free(source);
}
END_TEST

START_TEST(other_kinds_of_files_are_refused_at_once)
{
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;

	unlink(path);
	ck_assert_int_eq(nm_source_open(path, &source, &detail), NESTMIG_ERR_IO);
	ck_assert_int_eq(detail.sys_errno, ENOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(nm_source_open(path, &source, &detail), NESTMIG_ERR_UNSUPPORTED);
	ck_assert_int_eq(nm_source_open("/dev/null", &source, &detail), NESTMIG_ERR_UNSUPPORTED);
	ck_assert_int_eq(nm_source_open("/dev/zero", &source, &detail), NESTMIG_ERR_UNSUPPORTED);
	ck_assert_int_eq(nm_source_open(dir, &source, &detail), NESTMIG_ERR_UNSUPPORTED);
	ck_assert_ptr_null(source);
	nm_source_free(NULL);
}
END_TEST

/* A source that fails, and that counts how often it is freed. */
static int freed;

static enum nestmig_error broken_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				      struct nestmig_detail *detail)
{
	(void)ctx;
	(void)offset;
	(void)buffer;
	(void)length;
	(void)detail;
	return NESTMIG_ERR_CHECKSUM;
}

static void count(void *ctx)
{
	(void)ctx;
	freed++;
}

START_TEST(an_error_of_the_kind_is_passed_on)
{
	static const struct nm_source_ops ops = {.read = broken_read, .free = count};
	struct nm_source *source = NULL;
	const uint8_t *bytes = NULL;

	ck_assert_int_eq(nm_source_new(&ops, NULL, 100, &source, NULL), NESTMIG_OK);
	ck_assert_int_eq(nm_source_window(source, 0, 10, &bytes, NULL), NESTMIG_ERR_CHECKSUM);
	ck_assert_ptr_null(bytes);
	ck_assert_uint_eq(nm_source_bytes_read(source), 0);
	nm_source_free(source);
	ck_assert_int_eq(freed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *tcase = tcase_create("source");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, windows_live_as_long_as_the_source);
	tcase_add_test(tcase, a_part_is_a_source_of_its_own);
	tcase_add_test(tcase, a_sealed_source_keeps_its_windows);
	tcase_add_loop_test(tcase, a_range_outside_is_truncated, 0,
			    sizeof(outside) / sizeof(outside[0]));
	tcase_add_test(tcase, a_file_that_becomes_shorter_is_an_error);
	tcase_add_test(tcase, other_kinds_of_files_are_refused_at_once);
	tcase_add_test(tcase, an_error_of_the_kind_is_passed_on);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
