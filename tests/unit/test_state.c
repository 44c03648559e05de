// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a state: vCPUs, memory extents, items and modes. */
#include "stream.h"

static struct nestmig_state *state;

static void setup(void)
{
	struct nestmig_detail detail = {0};

	ck_ok(nm_state_new("file", "nms", &state, &detail), detail);
}

static void teardown(void)
{
	nestmig_state_free(state);
}

START_TEST(vcpus_are_limited_to_4096_and_unique)
{
	struct nestmig_detail detail = {0};
	struct nm_vcpu *vcpu = NULL;

	for (uint32_t i = 0; i < 4096; i++)
		ck_ok(nm_state_add_vcpu(state, 7 * i, &vcpu, &detail), detail);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 4096);
	ck_assert_uint_eq(state->vcpus[4095].id, 7 * 4095);
	ck_assert_int_eq(nm_state_add_vcpu(state, 1, &vcpu, &detail), NESTMIG_ERR_LIMIT);
}
END_TEST

START_TEST(a_vcpu_comes_once)
{
	struct nestmig_detail detail = {0};
	struct nm_vcpu *vcpu = NULL, *second = NULL;

	ck_ok(nm_state_add_vcpu(state, 3, &vcpu, &detail), detail);
	ck_assert_int_eq(nm_state_add_vcpu(state, 3, &second, &detail), NESTMIG_ERR_FORMAT);
	ck_assert_ptr_null(second);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
}
END_TEST

static void add_extent(uint64_t gpa, uint64_t size, struct nm_source *source, uint64_t offset)
{
	struct nestmig_detail detail = {0};
	struct nm_extent extent = {.gpa = gpa, .size = size, .source = source, .offset = offset};

	ck_ok(nm_state_add_extent(state, extent, &detail), detail);
}

START_TEST(memory_is_read_across_extents)
{
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;
	char bytes[16];

	ck_ok(nm_source_memory("abcdefghij", 10, &source, &detail), detail);
	ck_ok(nm_state_add_source(state, source, &detail), detail);
	add_extent(0x1004, 6, source, 0);
	add_extent(0x1000, 4, source, 6);
	add_extent(0x2000, 0x1000, NULL, 0);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1000, bytes, 10), NESTMIG_OK);
	ck_assert_mem_eq(bytes, "ghijabcdef", 10);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1003, bytes, 2), NESTMIG_OK);
	ck_assert_mem_eq(bytes, "ja", 2);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1000, bytes, 11), NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nm_state_read_memory(state, 0xfff, bytes, 2), NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nm_state_read_memory(state, 0x2000, bytes, 1), NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nm_state_read_memory(state, 5, bytes, 0), NESTMIG_OK);
}
END_TEST

START_TEST(what_is_not_ram_is_unknown_unless_the_list_is_complete)
{
	add_extent(0x1000, 0x1000, NULL, 0);
	add_extent(0x2000, 0x1000, NULL, 0);
	ck_assert_int_eq(nm_state_backed(state, 0x1000, 0x2000), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, 0x1fff, 2), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, 0x1000, 0x2001), NESTMIG_BACKED_UNKNOWN);
	ck_assert_int_eq(nm_state_backed(state, 0xfff, 1), NESTMIG_BACKED_UNKNOWN);
	state->memory_known = true;
	ck_assert_int_eq(nm_state_backed(state, 0x1000, 0x2000), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, 0x1000, 0x2001), NESTMIG_BACKED_NO);
	ck_assert_int_eq(nm_state_backed(state, 0xfff, 2), NESTMIG_BACKED_NO);
}
END_TEST

START_TEST(the_address_space_does_not_wrap)
{
	struct nestmig_detail detail = {0};
	struct nm_extent extent = {.gpa = UINT64_MAX, .size = 2};
	uint8_t bytes[2];

	ck_assert_int_eq(nm_state_add_extent(state, extent, &detail), NESTMIG_ERR_FORMAT);
	add_extent(UINT64_MAX - 0xfff, 0x1000, NULL, 0);
	add_extent(0, 0x1000, NULL, 0);
	add_extent(5, 0, NULL, 0);
	ck_assert_uint_eq(state->extent_count, 2);
	ck_assert_int_eq(nm_state_backed(state, UINT64_MAX - 0xfff, 0x1000), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, UINT64_MAX, 2), NESTMIG_BACKED_NO);
	ck_assert_int_eq(nm_state_read_memory(state, UINT64_MAX, bytes, 2), NESTMIG_ERR_NOT_FOUND);
}
END_TEST

START_TEST(extents_are_limited)
{
	struct nestmig_detail detail = {0};
	struct nm_extent extent = {.size = 1};

	for (extent.gpa = 0; extent.gpa < 65536; extent.gpa++)
		ck_ok(nm_state_add_extent(state, extent, &detail), detail);
	ck_assert_int_eq(nm_state_add_extent(state, extent, &detail), NESTMIG_ERR_LIMIT);
}
END_TEST

START_TEST(the_machine_name_is_graphic_ascii)
{
	struct nestmig_detail detail = {0};

	ck_ok(nm_state_set_machine(state, "pc-q35-7.2xyz", 10, &detail), detail);
	ck_assert_str_eq(state->machine, "pc-q35-7.2");
	ck_ok(nm_state_set_machine(state, "a\033[2J\n \xff\x7f~b", 11, &detail), detail);
	ck_assert_str_eq(state->machine, "a?[2J????~b");
	ck_ok(nm_state_set_machine(state, "pc\0rest", 7, &detail), detail);
	ck_assert_str_eq(state->machine, "pc");
}
END_TEST

START_TEST(modes)
{
	struct nm_vcpu vcpu = {0};

	ck_assert_str_eq(nm_vcpu_mode(&vcpu), "unknown");
	vcpu.view.nested.flags = KVMNS_GUEST_MODE;
	vcpu.view.events.smi_smm = 1;
	ck_assert_str_eq(nm_vcpu_mode(&vcpu), "unknown");
	vcpu.view.have = NESTMIG_HAVE(NESTED);
	ck_assert_str_eq(nm_vcpu_mode(&vcpu), "L2");
	vcpu.view.nested.flags = KVMNS_GIF_SET;
	ck_assert_str_eq(nm_vcpu_mode(&vcpu), "L1");
	vcpu.view.have |= NESTMIG_HAVE(EVENTS);
	ck_assert_str_eq(nm_vcpu_mode(&vcpu), "SMM");
}
END_TEST

START_TEST(items_have_names_of_their_own)
{
	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++) {
		ck_assert_ptr_nonnull(nm_item_name(i));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(nm_item_name(i), nm_item_name(j));
	}
	ck_assert_ptr_nonnull(nm_item_name(NESTMIG_ITEM_COUNT));
	ck_assert_int_le(NESTMIG_ITEM_COUNT, 64); /* they are bits of a mask */
}
END_TEST

START_TEST(absent_is_told_from_unknown)
{
	struct nestmig_detail detail = {0};
	struct nm_vcpu *vcpu = NULL;
	const uint8_t *bytes;
	uint64_t value;
	size_t size;

	ck_ok(nm_state_add_vcpu(state, 0, &vcpu, &detail), detail);
	ck_assert_int_eq(nestmig_field(state, 1, "sregs.cr0", &value, NULL, NULL, &detail),
			 NESTMIG_ERR_INVALID);
	ck_assert_int_eq(nestmig_field(state, 0, "sregs.cr9", &value, NULL, NULL, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(detail.text, "no field"));
	ck_assert_int_eq(nestmig_field(state, 0, "sregs.cr0", &value, NULL, NULL, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(detail.text, "has no sregs"));
	ck_assert_int_eq(nestmig_item_bytes(state, 0, "vmcb12", &bytes, &size, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nestmig_item_bytes(state, 9, "vmcb12", &bytes, &size, &detail),
			 NESTMIG_ERR_INVALID);
	nestmig_state_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tcase = tcase_create("state");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, vcpus_are_limited_to_4096_and_unique);
	tcase_add_test(tcase, a_vcpu_comes_once);
	tcase_add_test(tcase, memory_is_read_across_extents);
	tcase_add_test(tcase, what_is_not_ram_is_unknown_unless_the_list_is_complete);
	tcase_add_test(tcase, the_address_space_does_not_wrap);
	tcase_add_test(tcase, extents_are_limited);
	tcase_add_test(tcase, the_machine_name_is_graphic_ascii);
	tcase_add_test(tcase, modes);
	tcase_add_test(tcase, items_have_names_of_their_own);
	tcase_add_test(tcase, absent_is_told_from_unknown);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
