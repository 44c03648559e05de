// SPDX-License-Identifier: GPL-2.0-or-later
/* Forms of a stream that QEMU 7.2 itself has written under TCG (cases/streams/make-tcg.sh). */
#include "stream.h"

#define DIRTIED 0x10000 /* the guest dirties 64 pages from here on */

static struct stream s;
static struct nestmig_state *state;

static void setup(void)
{
	s = (struct stream){0};
	state = NULL;
}

static void teardown(void)
{
	stream_free(&s);
	nestmig_state_free(state);
}

static void load(const char *name)
{
	s = genuine(name);
	state = must_read(&s);
	state->stream = state->sources[0];
}

static const struct {
	const char *name, *machine;
	enum nm_page_kind dirtied;
	bool vmdesc, bitmaps, no_footers;
} forms[] = {
	{"tcg-xbzrle", "pc-q35-7.2", NM_PAGE_PATCHED, true, false, false},
	{"tcg-no-vmdesc", "pc-q35-7.2", NM_PAGE_STORED, false, false, false},
	{"tcg-ignore-shared", "pc-q35-7.2", NM_PAGE_ABSENT, true, false, false},
	{"tcg-no-footers", NULL, NM_PAGE_STORED, true, false, true},
	{"tcg-bitmaps", "pc-q35-7.2", NM_PAGE_STORED, true, true, false},
	{"tcg-return-path", "pc-q35-7.2", NM_PAGE_STORED, true, false, false},
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

START_TEST(all_is_understood)
{
	struct nm_page pages[] = {{.gpa = DIRTIED}, {.gpa = DIRTIED + 0x3f000}};
	struct nestmig_detail detail = {0};

	load(forms[_i].name);
	ck_assert_str_eq(nestmig_state_format(state), "qemu-stream");
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L1");
	ck_field(state, 0, "sregs.cs.base", 0xf0000);
	if (forms[_i].machine)
		ck_assert_str_eq(state->machine, forms[_i].machine);
	else
		ck_assert_ptr_null(state->machine);
	ck_assert_int_eq(s.p[s.size - 1] == '}', forms[_i].vmdesc);
	ck_assert_int_eq(state->ram.has_bitmaps, forms[_i].bitmaps);
	ck_assert_int_eq(state->ram.no_footers, forms[_i].no_footers);
	ck_assert_int_eq(nm_state_backed(state, 0x100000, 0x100000), NESTMIG_BACKED_YES);
	/* RAM leads to the devices, with no record on the way that is not known. */
	ck_ok(state->find_pages(state, NULL, 0, &detail), detail);
	ck_ok(state->find_pages(state, pages, 2, &detail), detail);
	ck_assert_int_eq(pages[0].kind, forms[_i].dirtied);
	/* Where a difference would be longer than the page xbzrle sends that, too. */
	if (_i != 0)
		ck_assert_int_eq(pages[1].kind, forms[_i].dirtied);
}
END_TEST

/* The guest counts, each page holds a later number than the one before but for one jump. */
START_TEST(pages_are_the_last_copies)
{
	struct nm_page pages[64] = {{0}};
	struct nestmig_detail detail = {0};
	uint8_t before[4096], is[4096];
	unsigned jumps = 0;

	load(forms[_i].name);
	if (forms[_i].dirtied == NM_PAGE_ABSENT)
		return;
	for (size_t i = 0; i < 64; i++)
		pages[i].gpa = DIRTIED + 4096 * i;
	ck_ok(state->find_pages(state, pages, 64, &detail), detail);
	for (size_t i = 1; i < 64; i++) {
		ck_ok(nm_page_bytes(state, &pages[i - 1], before, &detail), detail);
		ck_ok(nm_page_bytes(state, &pages[i], is, &detail), detail);
		jumps += nm_le32(is + 0x10) != nm_le32(before + 0x10) + 1;
	}
	ck_assert_uint_le(jumps, 1);
}
END_TEST

START_TEST(cut_anywhere_is_refused)
{
	load(forms[_i].name);
	nestmig_state_free(state);
	state = NULL;
	for (size_t size = s.size - 1; size > 0; size -= size > 9973 ? 9973 : size) {
		struct nestmig_detail detail = {0};
		struct nestmig_state *none = NULL;

		ck_assert_msg(read_stream(s.p, size, &none, &detail) != NESTMIG_OK, "%zu bytes",
			      size);
		ck_assert(detail.has_offset);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_forms");
	TCase *tcase = tcase_create("qemu_forms");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, all_is_understood, 0, FORMS);
	tcase_add_loop_test(tcase, pages_are_the_last_copies, 0, FORMS);
	tcase_add_loop_test(tcase, cut_anywhere_is_refused, 0, FORMS);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
