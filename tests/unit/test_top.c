// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of nestmig top: rates between two looks, order, width. */
#include <jansson.h>
#include <stdlib.h>

#include "stream.h"
#include "top_table.h"

#define SECOND INT64_C(1000000000)

static struct top_sample before, after;
static struct top_table table;

static void setup(void)
{
	before = (struct top_sample){.time = 100 * SECOND};
	after = (struct top_sample){.time = 102 * SECOND};
}

static void teardown(void)
{
	top_sample_free(&before);
	top_sample_free(&after);
	top_table_free(&table);
}

static void add(struct top_sample *sample, struct nm_guard_vcpu vcpu)
{
	vcpu.vmm = 100;
	ck_assert(top_add(sample, &vcpu));
}

static bool name_of(uint32_t pid, char *name, size_t size)
{
	snprintf(name, size, "qemu\033[2Jx86");
	return pid == 100;
}

static void compare(void)
{
	top_sort(&before);
	top_sort(&after);
	ck_assert_int_eq(top_compare(&before, &after, NESTMIG_VENDOR_AMD, name_of, &table),
			 NESTMIG_OK);
}

START_TEST(rates_are_a_second)
{
	add(&before, (struct nm_guard_vcpu){.vm = 1, .entries = 1000, .exits = 990, .l2_time = 7});
	add(&after,
	    (struct nm_guard_vcpu){.vm = 1, .entries = 1100, .exits = 1000, .l2_time = SECOND + 7});
	compare();
	ck_assert_double_eq_tol(table.interval, 2, 1e-9);
	ck_assert_double_eq_tol(table.rows[0].entries, 50, 1e-9);
	ck_assert_double_eq_tol(table.rows[0].exits, 5, 1e-9);
	ck_assert_double_eq_tol(table.rows[0].l2_share, 0.5, 1e-9);
}
END_TEST

START_TEST(smm_has_its_share)
{
	json_t *json, *row;
	char *text;

	add(&before, (struct nm_guard_vcpu){.vm = 1, .smm_time = 5});
	add(&after,
	    (struct nm_guard_vcpu){
		    .vm = 1, .in_smm = 1, .smm_since = 101 * SECOND, .smm_time = SECOND / 2 + 5});
	compare();
	ck_assert_str_eq(table.rows[0].mode, "SMM");
	ck_assert_double_eq_tol(table.rows[0].smm_share, 0.75, 1e-9);
	ck_assert_int_eq(top_json(&table, &text), NESTMIG_OK);
	json = json_loads(text, 0, NULL);
	row = json_array_get(json_object_get(json, "vcpus"), 0);
	ck_assert_double_eq_tol(json_real_value(json_object_get(row, "smm_share")), 0.75, 1e-9);
	json_decref(json);
	free(text);
}
END_TEST

/* In L2 for the whole time: no exit has added to l2_time yet. */
START_TEST(time_in_l2_counts_before_its_end)
{
	struct nm_guard_vcpu vcpu = {.vm = 1, .in_l2 = 1, .l2_since = 90 * SECOND};

	add(&before, vcpu);
	add(&after, vcpu);
	compare();
	ck_assert_double_eq_tol(table.rows[0].l2_share, 1, 1e-9);
	ck_assert_str_eq(table.rows[0].mode, "L2");
}
END_TEST

START_TEST(the_busiest_come_first)
{
	add(&after, (struct nm_guard_vcpu){.vm = 1, .vcpu = 0, .entries = 2});
	add(&after, (struct nm_guard_vcpu){.vm = 2, .vcpu = 1, .entries = 20});
	add(&after, (struct nm_guard_vcpu){.vm = 2, .vcpu = 0});
	compare();
	ck_assert_uint_eq(table.count, 3);
	ck_assert_uint_eq(table.rows[0].vm, 2);
	ck_assert_uint_eq(table.rows[0].vcpu, 1);
	ck_assert_uint_eq(table.rows[1].vm, 1);
}
END_TEST

/* The map is read while it changes. */
START_TEST(a_vcpu_that_was_seen_twice_is_there_once)
{
	add(&after, (struct nm_guard_vcpu){.vm = 1, .vcpu = 3});
	add(&after, (struct nm_guard_vcpu){.vm = 1, .vcpu = 2});
	add(&after, (struct nm_guard_vcpu){.vm = 1, .vcpu = 3});
	compare();
	ck_assert_uint_eq(table.count, 2);
}
END_TEST

START_TEST(lines_fit_80_columns)
{
	char *text, *rest, *line;

	add(&after, (struct nm_guard_vcpu){.vm = 9999,
					   .vcpu = 4095,
					   .entries = 99999999,
					   .exits = 99999999,
					   .made_up = UINT64_MAX,
					   .last_exit = 0x7f,
					   .last_time = (uint64_t)(40 * SECOND)});
	compare();
	table.rows[0].pid = 4194304;
	ck_assert_int_eq(top_text(&table, 0, &text), NESTMIG_OK);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL)
		ck_assert_msg(strlen(line) <= 80 && !strchr(line, '\033'), "%s", line);
	free(text);
}
END_TEST

START_TEST(what_does_not_fit_is_counted)
{
	char *text;

	for (uint32_t i = 0; i < 10; i++)
		add(&after, (struct nm_guard_vcpu){.vm = 1, .vcpu = i});
	compare();
	ck_assert_int_eq(top_text(&table, 7, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "\nand 3 more\n"));
	free(text);
}
END_TEST

START_TEST(as_json)
{
	json_t *json, *row;
	char *text;

	add(&after, (struct nm_guard_vcpu){.vm = 4,
					   .made_up = 2,
					   .last_exit = UINT64_MAX,
					   .last_time = (uint64_t)(101 * SECOND)});
	compare();
	ck_assert_int_eq(top_json(&table, &text), NESTMIG_OK);
	json = json_loads(text, 0, NULL);
	row = json_array_get(json_object_get(json, "vcpus"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(json, "schema")), "nestmig.top/1");
	ck_assert_str_eq(json_string_value(json_object_get(row, "vmm")), "qemu?[2Jx86");
	ck_assert_str_eq(json_string_value(json_object_get(row, "last_synthesised")),
			 "VMEXIT_INVALID");
	ck_assert_int_eq(json_integer_value(json_object_get(row, "synthesised")), 2);
	json_decref(json);
	free(text);
}
END_TEST

START_TEST(no_vcpu_at_all)
{
	char *text;

	compare();
	ck_assert_int_eq(top_json(&table, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "\"vcpus\":[]"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top");
	TCase *tcase = tcase_create("top");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, rates_are_a_second);
	tcase_add_test(tcase, smm_has_its_share);
	tcase_add_test(tcase, time_in_l2_counts_before_its_end);
	tcase_add_test(tcase, the_busiest_come_first);
	tcase_add_test(tcase, a_vcpu_that_was_seen_twice_is_there_once);
	tcase_add_test(tcase, lines_fit_80_columns);
	tcase_add_test(tcase, what_does_not_fit_is_counted);
	tcase_add_test(tcase, as_json);
	tcase_add_test(tcase, no_vcpu_at_all);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
