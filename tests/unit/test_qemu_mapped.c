// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams with mapped-ram, built by stream_new.h: every page of guest memory has its place. */
#include "stream_new.h"

#define NOWHERE UINT64_MAX
#define HF_SMM  (1U << 19)
#define BASE    0x12345 /* of a stream inside of another file */

static struct maker m;
static struct nestmig_state *state;

static void setup(void)
{
	m = (struct maker){.mapped_ram = true};
	state = NULL;
}

static void teardown(void)
{
	maker_free(&m);
	nestmig_state_free(state);
}

static void make(void)
{
	make_head(&m, "pc-q35-9.0");
	make_ram(&m);
	make_part(&m, 2, NOWHERE, 0);
	make_command(&m, 11, NULL, 0);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	make_end(&m);
}

static void read_it(void)
{
	state = must_read(&m.s);
	state->stream = state->sources[0];
	ck_field(state, 0, "nested_state.vmcb_pa", NEW_VMCB_PA);
	ck_assert_ptr_null(state->find_pages);
	ck_assert_str_eq(state->capability, "mapped-ram");
}

static void check_byte(uint64_t gpa, int expected)
{
	uint8_t byte = 0xee;
	enum nestmig_error error = nm_state_read_memory(state, gpa, &byte, 1);

	if (expected < 0) {
		ck_assert_int_eq(error, NESTMIG_ERR_NOT_FOUND);
		return;
	}
	ck_assert_int_eq(error, NESTMIG_OK);
	ck_assert_int_eq(byte, expected);
}

START_TEST(pages_are_found_by_their_bit)
{
	uint8_t buffer[2 * 4096];

	make();
	set_mapped_page(&m, 0x5000, 1);
	set_mapped_page(&m, 0x110000, 2);
	set_mapped_page(&m, 0x112000, 3);
	set_mapped_page(&m, NEW_RAM - 0x1000, 4);
	read_it();
	check_byte(0x5000, 1);
	check_byte(0x5fff, 1);
	check_byte(0x110000, 2);
	check_byte(NEW_RAM - 1, 4);
	/* What stands where a clear page would be is not read. */
	check_byte(0x4fff, 0);
	check_byte(0x6000, 0);
	check_byte(0x111000, 0);
	check_byte(NEW_RAM, -1);
	/* The VGA window is RAM for a vCPU in SMM only. */
	check_byte(0xa0000, -1);
	ck_assert_int_eq(nm_state_read_memory(state, 0x110800, buffer, sizeof(buffer)), NESTMIG_OK);
	ck_assert_uint_eq(buffer[0], 2);
	ck_assert_uint_eq(buffer[0x7ff], 2);
	ck_assert_uint_eq(buffer[0x800], 0);
	ck_assert_uint_eq(buffer[0x17ff], 0);
	ck_assert_uint_eq(buffer[0x1800], 3);
}
END_TEST

START_TEST(little_is_read)
{
	uint8_t byte;

	make();
	read_it();
	/* Of 4 MiB RAM: the head, the block headers and the end. */
	ck_assert_uint_lt(nestmig_state_bytes_read(state), (1 << 18) + (1 << 14));
	ck_assert_int_eq(nm_state_read_memory(state, 0x5000, &byte, 1), NESTMIG_OK);
	ck_assert_uint_lt(nestmig_state_bytes_read(state), (1 << 18) + (1 << 14));
}
END_TEST

/* SMRAM of a vCPU in SMM, and where in the file a rule's field stands. */
START_TEST(smram)
{
	struct nestmig_detail detail = {0};
	uint64_t offset = 0;

	make();
	set_be(m.s.p + m.cpu + 144, 1U << 21 | 1U << 20 | HF_SMM, 4);
	set_be(m.s.p + m.cpu + 864, 0xa0000, 4); /* smbase */
	set_be(m.s.p + m.cpu + 880, 0x111000, 8);
	set_mapped_page(&m, 0xaf000, 0x77);
	read_it();
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_field(state, 0, "smram.cr0", UINT64_C(0x7777777777777777));
	ck_assert(nm_vcpu_field(&state->vcpus[0], "smram.cr0", NULL, NULL, &offset));
	ck_assert_uint_ge(offset, m.pages + 0xaf000);
	ck_assert_uint_lt(offset, m.pages + 0xb0000);
	/* A page of zeros is at hand too, and stands nowhere. */
	ck_field(state, 0, "hsave.cr0", 0);
	ck_assert(nm_vcpu_field(&state->vcpus[0], "hsave.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
	ck_assert_uint_eq(state->page_count, 0);
}
END_TEST

/* Offsets in headers count from the start of the file, not of the stream. */
START_TEST(a_stream_inside_of_a_file)
{
	struct nm_source *file = NULL, *part = NULL;
	struct nestmig_detail detail = {0};
	struct stream whole = {0};

	m.base = BASE;
	make();
	set_mapped_page(&m, 0x5000, 1);
	ck_assert_uint_eq((m.pages + BASE) % NEW_ALIGN, 0);
	put_fill(&whole, 0xdd, BASE);
	put(&whole, m.s.p, m.s.size);
	ck_ok(nm_state_new("test", NULL, &state, &detail), detail);
	ck_ok(nm_source_memory(whole.p, whole.size, &file, &detail), detail);
	ck_ok(nm_state_add_source(state, file, &detail), detail);
	ck_ok(nm_source_part(file, BASE, m.s.size, &part, &detail), detail);
	ck_ok(nm_state_add_source(state, part, &detail), detail);
	state->stream = part;
	state->stream_base = BASE;
	ck_ok(nm_qemu_read(state, part, &detail), detail);
	check_byte(0x5000, 1);
	check_byte(0x6000, 0);
	nestmig_state_free(state);
	state = NULL;
	stream_free(&whole);
	/* Without the base they point elsewhere. */
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

/* ---- Shared RAM -------------------------------------------------------------------------------- */

/* An older QEMU has room and a clear bitmap for a shared block, a newer one leaves it out. */
START_TEST(shared_ram_is_not_zero)
{
	m.ignore_shared = true;
	m.skip_ram_pages = _i;
	make();
	if (!_i)
		set_mapped_page(&m, 0x6000, 9);
	read_it();
	ck_assert_int_eq(nm_state_backed(state, 0x5000, 4096), NESTMIG_BACKED_YES);
	check_byte(0x5000, -1);
	check_byte(0x6000, _i ? -1 : 9);
}
END_TEST

/* ---- Headers that are wrong -------------------------------------------------------------------- */

static const struct {
	size_t at; /* from the header of pc.ram */
	unsigned width;
	uint64_t value;
	enum nestmig_error error;
} headers[] = {
	{4 + 8, 8, 0, NESTMIG_ERR_FORMAT}, /* the bitmap before its header */
	{4 + 8, 8, UINT64_MAX, NESTMIG_ERR_FORMAT},
	{4 + 8, 8, NEW_ALIGN - 100, NESTMIG_ERR_FORMAT}, /* in the pages */
	{4 + 16, 8, 0, NESTMIG_ERR_FORMAT},
	{4 + 16, 8, 64, NESTMIG_ERR_FORMAT},
	{4 + 16, 8, UINT64_MAX, NESTMIG_ERR_FORMAT},
	{4 + 16, 8, NEW_ALIGN + 0x400000, NESTMIG_ERR_TRUNCATED}, /* past the end */
	{4 + 16, 8, 2 * NEW_ALIGN, NESTMIG_ERR_FORMAT},
};

START_TEST(headers_that_are_wrong)
{
	size_t header;

	make();
	header = m.bitmap - 28;
	set_be(m.s.p + header + headers[_i].at, headers[_i].value, headers[_i].width);
	must_refuse(&m.s, headers[_i].error, "");
}
END_TEST

/* Of a newer QEMU: the devices are read, RAM is not. */
START_TEST(a_version_that_is_not_known)
{
	make();
	set_be(m.s.p + m.bitmap - 28, 2, 4);
	read_it();
	ck_assert_ptr_null(state->find_page);
	ck_assert_uint_eq(state->extent_count, 0);
}
END_TEST

/* Between the setup and the devices only the ends of parts. */
START_TEST(nothing_else_between_ram_and_devices)
{
	struct stream page = {0};

	make();
	put_be(&page, 0x5000 | 0x008, 8);
	put_name(&page, "pc.ram");
	put_fill(&page, 1, 4096);
	replace(&m.s, m.devices - 13, 0, page.p, page.size);
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "where QEMU refuses it");
	stream_free(&page);
	maker_free(&m);
	setup();
	make();
	replace(&m.s, m.devices - 18, 0, "\x08", 1);
	m.s.p[m.devices - 18] = 0x7f;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "no element");
}
END_TEST

START_TEST(cut_anywhere_is_refused)
{
	struct nestmig_detail detail;
	size_t sizes[400], count = 0;

	make();
	for (size_t size = 0; size < 100; size++)
		sizes[count++] = size;
	for (size_t size = m.devices - 40; size < m.devices + 40; size++)
		sizes[count++] = size;
	for (size_t size = 200; size < m.s.size; size += 49999)
		sizes[count++] = size;
	for (size_t cut = 1; cut < 40; cut++)
		sizes[count++] = m.s.size - cut;
	for (size_t i = 0; i < count; i++) {
		struct nestmig_state *none = NULL;

		ck_assert_int_ne(read_stream(m.s.p, sizes[i], &none, &detail), NESTMIG_OK);
		ck_assert(detail.has_offset);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_mapped");
	TCase *tcase = tcase_create("qemu_mapped");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, pages_are_found_by_their_bit);
	tcase_add_test(tcase, little_is_read);
	tcase_add_test(tcase, smram);
	tcase_add_test(tcase, a_stream_inside_of_a_file);
	tcase_add_loop_test(tcase, shared_ram_is_not_zero, 0, 2);
	tcase_add_loop_test(tcase, headers_that_are_wrong, 0, sizeof(headers) / sizeof(headers[0]));
	tcase_add_test(tcase, a_version_that_is_not_known);
	tcase_add_test(tcase, nothing_else_between_ram_and_devices);
	tcase_add_test(tcase, cut_anywhere_is_refused);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
