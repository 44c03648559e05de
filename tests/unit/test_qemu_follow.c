// SPDX-License-Identifier: GPL-2.0-or-later
/* A stream that passes by, in pieces of any size: where its devices start, what its commands mean, what is refused. */
#include "qemu.h"
#include "qemu_follow.h"
#include "slow_source.h"
#include "stream_new.h"

static const size_t pieces[] = {1, 7, 64, 4096, 100000, SIZE_MAX / 4};

static struct maker m;
static struct nm_source *source;
static struct nm_qemu_follow *follow;
static struct slow slow;
static struct nestmig_detail detail;

static void setup(void)
{
	m = (struct maker){0};
}

static void close_stream(void)
{
	nm_qemu_follow_free(follow);
	nm_source_free(source);
	follow = NULL;
	source = NULL;
}

static void teardown(void)
{
	close_stream();
	maker_free(&m);
}

static enum nestmig_error open_stream(const struct stream *s, size_t piece)
{
	detail = (struct nestmig_detail){0};
	slow = (struct slow){.bytes = s->p, .size = s->size, .piece = piece, .pin = UINT64_MAX};
	ck_ok(nm_source_new(&slow_ops, &slow, UINT64_MAX / 2, &source, &detail), detail);
	return nm_qemu_follow_new(source, &follow, &detail);
}

/* Up to the devices; a set of bits: which enum nm_qemu_passed there were. */
static enum nestmig_error follow_all(unsigned *ret_passed)
{
	enum nm_qemu_next next = NM_QEMU_NEXT_START;
	enum nestmig_error error = NESTMIG_OK;

	*ret_passed = 0;
	while (!error) {
		enum nm_qemu_passed passed = NM_QEMU_PASSED_OTHER;

		slow.pin = nm_qemu_follow_offset(follow);
		error = nm_qemu_follow_next(follow, &next, &detail);
		if (error || next == NM_QEMU_NEXT_DEVICES)
			return error;
		/* As nestmig gate does it. */
		slow.pin = next == NM_QEMU_NEXT_COMMAND ? slow.pin : UINT64_MAX;
		error = nm_qemu_follow_pass(follow, &passed, &detail);
		*ret_passed |= 1U << passed;
	}
	return error;
}

static void make_setup(void)
{
	make_head(&m, "pc-q35-10.1");
	make_command(&m, 1, NULL, 0);
	make_command(&m, 2, "\0\0\0\1", 4);
	make_ram(&m);
}

static void make_rest(void)
{
	make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, UINT64_MAX, 0);
	make_devices(&m);
	make_end(&m);
}

START_TEST(devices_of_a_made_stream)
{
	unsigned passed = 0;

	make_setup();
	make_rest();
	ck_ok(open_stream(&m.s, pieces[_i]), detail);
	ck_ok(follow_all(&passed), detail);
	ck_assert_uint_eq(nm_qemu_follow_offset(follow), m.devices);
	ck_assert(passed & 1U << NM_QEMU_PASSED_RETURN_PATH);
	ck_assert(!(passed & 1U << NM_QEMU_PASSED_COMMAND));
}
END_TEST

/* The same place as the reader of files comes to. */
START_TEST(devices_of_a_genuine_stream)
{
	static const char *const names[] = {"full1", "full2", "tcg-xbzrle", "tcg-no-footers",
					    "tcg-ignore-shared"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stream s = genuine(names[i]);
		struct nm_source *file = NULL;
		uint64_t devices = 0;
		unsigned passed = 0;

		ck_ok(nm_source_memory(s.p, s.size, &file, &detail), detail);
		ck_ok(nm_qemu_pass_ram(file, &devices, &detail), detail);
		ck_ok(open_stream(&s, pieces[_i]), detail);
		ck_ok(follow_all(&passed), detail);
		ck_assert_uint_eq(nm_qemu_follow_offset(follow), devices);
		nm_source_free(file);
		close_stream();
		stream_free(&s);
	}
}
END_TEST

/* What stands before the first part, an end of RAM and the devices are a stream of the same vCPUs. */
START_TEST(without_its_pages)
{
	struct stream s = genuine("full2"), small = {0};
	uint8_t end[NM_QEMU_END_MAX];
	struct nestmig_state *state = NULL;
	enum nm_qemu_next next = NM_QEMU_NEXT_START;
	unsigned passed = 0;
	enum nm_qemu_passed one;
	size_t size;

	ck_ok(open_stream(&s, 1000), detail);
	for (;;) {
		ck_ok(nm_qemu_follow_next(follow, &next, &detail), detail);
		if (next == NM_QEMU_NEXT_PART)
			break;
		ck_ok(nm_qemu_follow_pass(follow, &one, &detail), detail);
	}
	put(&small, s.p, (size_t)nm_qemu_follow_offset(follow));
	ck_ok(follow_all(&passed), detail);
	size = nm_qemu_follow_end(follow, end);
	ck_assert_uint_gt(size, 0);
	put(&small, end, size);
	put(&small, s.p + nm_qemu_follow_offset(follow),
	    s.size - (size_t)nm_qemu_follow_offset(follow));
	ck_ok(read_stream(small.p, small.size, &state, &detail), detail);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 2);
	nestmig_state_free(state);
	stream_free(&small);
	stream_free(&s);
}
END_TEST

/* A stream that ends in the middle of this. */
static void is_refused(enum nestmig_error error, const char *text)
{
	unsigned passed = 0;
	enum nestmig_error is = open_stream(&m.s, 5);

	if (!is)
		is = follow_all(&passed);
	ck_assert_int_eq(is, error);
	ck_assert_msg(strstr(detail.text, text) != NULL, "says \"%s\"", detail.text);
}

START_TEST(mapped_ram_is_refused)
{
	m.mapped_ram = true;
	make_setup();
	is_refused(NESTMIG_ERR_UNSUPPORTED, "mapped-ram");
}
END_TEST

START_TEST(an_unknown_section_is_refused)
{
	make_setup();
	put_section(&m.s, 1, 90, "vfio", 0, 1);
	is_refused(NESTMIG_ERR_UNSUPPORTED, "vfio");
}
END_TEST

START_TEST(a_section_that_starts_late_is_refused)
{
	make_setup();
	make_part(&m, 2, 0x5000, 1);
	make_bitmaps(&m, 1);
	is_refused(NESTMIG_ERR_UNSUPPORTED, "starts behind the first part");
}
END_TEST

START_TEST(a_device_of_unknown_length_is_refused)
{
	make_setup();
	make_filled(&m, 40, "anything", 100);
	is_refused(NESTMIG_ERR_UNSUPPORTED, "how long section \"anything\" is");
}
END_TEST

START_TEST(no_stream_is_refused)
{
	put_fill(&m.s, 0x41, 100);
	is_refused(NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream");
}
END_TEST

/* virtio-mem of QEMU 8.0 and later stands before RAM; its length is known. */
START_TEST(virtio_mem_is_passed)
{
	unsigned passed = 0;

	make_setup();
	make_device(&m, 40, "0000:00:05.0/virtio-mem-device-early", 1);
	put_be(&m.s, 0x100000000, 8);
	put_be(&m.s, 0x8000000, 8);
	put_be(&m.s, 0x200000, 8);
	put_be(&m.s, 0, 4);
	put_be(&m.s, 0, 8);
	put_fill(&m.s, 0x7e, 8);
	make_device_end(&m, 40, 0, "");
	make_rest();
	ck_ok(open_stream(&m.s, pieces[_i]), detail);
	ck_ok(follow_all(&passed), detail);
	ck_assert_uint_eq(nm_qemu_follow_offset(follow), m.devices);
}
END_TEST

/* Those after which RAM follows the devices, or the source does not go on. */
START_TEST(commands_of_postcopy)
{
	static const struct {
		uint16_t command;
		size_t size;
	} commands[] = {{3, 0}, {3, 16}, {4, 0}, {5, 0}, {7, 4}, {8, 0}, {9, 0}};
	static const uint8_t data[16];
	enum nm_qemu_next next = NM_QEMU_NEXT_START;
	enum nm_qemu_passed passed = NM_QEMU_PASSED_OTHER;

	make_head(&m, "pc-q35-10.1");
	make_command(&m, commands[_i].command, data, commands[_i].size);
	ck_ok(open_stream(&m.s, 3), detail);
	ck_ok(nm_qemu_follow_next(follow, &next, &detail), detail);
	ck_assert_int_eq(next, NM_QEMU_NEXT_COMMAND);
	ck_ok(nm_qemu_follow_pass(follow, &passed, &detail), detail);
	ck_assert_int_eq(passed, NM_QEMU_PASSED_COMMAND);
}
END_TEST

START_TEST(ends)
{
	static const uint8_t bytes[] = {0x11, 0x7e, 0, 0, 0, 9, 0, 6, 0, 0, 0, 2, '{', '}'};
	size_t at = 0;

	ck_assert(nm_qemu_may_end(bytes, 7));
	ck_assert(!nm_qemu_may_end(bytes, 6));
	ck_assert(!nm_qemu_may_end(bytes + 2, 5));
	ck_assert(nm_qemu_find_vmdesc(bytes, sizeof(bytes), &at));
	ck_assert_uint_eq(at, 7);
	ck_assert(!nm_qemu_find_vmdesc(bytes, sizeof(bytes) - 1, &at));
	ck_assert(!nm_qemu_find_vmdesc(bytes, 0, &at));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_follow");
	TCase *tcase = tcase_create("qemu_follow");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, devices_of_a_made_stream, 0, 6);
	tcase_add_loop_test(tcase, devices_of_a_genuine_stream, 0, 6);
	tcase_add_test(tcase, without_its_pages);
	tcase_add_test(tcase, mapped_ram_is_refused);
	tcase_add_test(tcase, an_unknown_section_is_refused);
	tcase_add_test(tcase, a_section_that_starts_late_is_refused);
	tcase_add_test(tcase, a_device_of_unknown_length_is_refused);
	tcase_add_test(tcase, no_stream_is_refused);
	tcase_add_loop_test(tcase, virtio_mem_is_passed, 0, 6);
	tcase_add_loop_test(tcase, commands_of_postcopy, 0, 7);
	tcase_add_test(tcase, ends);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
