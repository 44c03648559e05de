// SPDX-License-Identifier: GPL-2.0-or-later
/* The counters of the guard as text, JSON and OpenMetrics. */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

#include "guard_command.h"
#include "stream.h"

static struct nm_guard_program program = {
	.name = "nm_guard_ioctl", .function = "file_ioctl", .missed = 7, .instructions = 1000};
static struct guard_status status;

static void setup(void)
{
	status = (struct guard_status){.vcpus = 5, .programs = &program, .program_count = 1};
	status.config.enforce = 1;
	status.config.lsm = 1;
	for (unsigned i = 0; i < NM_GUARD_COUNTERS; i++)
		status.counters[i] = 1000 + i;
	status.broken[NESTMIG_RULE_svm_ctl_asid_zero] = 3;
}

static char *metrics(const struct guard_status *of)
{
	char *text;

	ck_assert_int_eq(guard_status_metrics(of, &text), NESTMIG_OK);
	return text;
}

static json_t *json_of(const struct guard_status *of)
{
	json_t *json;
	char *text;

	ck_assert_int_eq(guard_status_json(of, &text), NESTMIG_OK);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(json);
	free(text);
	return json;
}

START_TEST(every_counter_is_shown)
{
	char *text = metrics(&status), *people;

	ck_assert_int_eq(guard_status_text(&status, &people), NESTMIG_OK);
	for (unsigned i = 0; i < NM_GUARD_COUNTERS; i++) {
		char number[16];

		snprintf(number, sizeof(number), " %u\n", 1000 + i);
		ck_assert_ptr_nonnull(guard_counter_name((enum nm_guard_counter)i));
		ck_assert_ptr_nonnull(strstr(text, number));
		snprintf(number, sizeof(number), " %u  ", 1000 + i);
		ck_assert_ptr_nonnull(strstr(people, number));
	}
	free(people);
	free(text);
}
END_TEST

/* Samples follow the head of their metric, each head is there once, the end is marked. */
START_TEST(metrics_are_openmetrics)
{
	char *text = metrics(&status), *rest = text, *line, family[64] = "", seen[4096] = "";
	char *last = NULL;

	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		last = line;
		if (!strncmp(line, "# TYPE ", 7)) {
			snprintf(family, sizeof(family), "%.*s", (int)strcspn(line + 7, " "),
				 line + 7);
			ck_assert_msg(!strstr(seen, line), "%s", line);
			strcat(seen, line);
		} else if (!strncmp(line, "# HELP ", 7)) {
			ck_assert(!strncmp(line + 7, family, strlen(family)));
		} else if (line[0] != '#') {
			ck_assert_msg(!strncmp(line, family, strlen(family)), "%s", line);
			ck_assert_msg(isdigit((unsigned char)line[strlen(line) - 1]), "%s", line);
		}
	}
	ck_assert_str_eq(last, "# EOF");
	free(text);
}
END_TEST

START_TEST(values_are_where_they_belong)
{
	char *text = metrics(&status);

	char denied[96];

	snprintf(denied, sizeof(denied), "\nnestmig_guard_denied_total{ioctl=\"KVM_RUN\"} %d\n",
		 1000 + NM_GUARD_DENIALS + NM_GUARD_KVM_RUN);
	ck_assert_ptr_nonnull(strstr(text, denied));
	ck_assert_ptr_nonnull(
		strstr(text, "\nnestmig_guard_rule_broken_total{rule=\"svm-ctl-asid-zero\"} 3\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nnestmig_guard_enforcing 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nnestmig_guard_vcpus 5\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "\nnestmig_guard_missed_total{program=\"nm_guard_ioctl\"} 7\n"));
	free(text);
}
END_TEST

START_TEST(status_as_json)
{
	json_t *json = json_of(&status), *counters = json_object_get(json, "counters");

	ck_assert_str_eq(json_string_value(json_object_get(json, "mode")), "enforce");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(counters, "denied"),
							    "KVM_SET_VCPU_EVENTS")),
			 1000 + NM_GUARD_DENIALS + NM_GUARD_SET_VCPU_EVENTS);
	ck_assert_int_eq(json_object_size(json_object_get(json, "rules")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json, "rules"),
							    "svm-ctl-asid-zero")),
			 3);
	ck_assert_int_eq(json_integer_value(
				 json_object_get(json_object_get(counters, "unjudged"), "memory")),
			 1000 + NM_GUARD_NO_SCRATCH);
	ck_assert_int_eq(json_array_size(json_object_get(json, "not_attached")), 0);
	json_decref(json);
}
END_TEST

START_TEST(what_is_not_attached_is_named)
{
	json_t *json;
	char *text;

	snprintf(status.left_out[status.left_out_count++], 64, "nm_guard_svm_exited");
	json = json_of(&status);
	ck_assert_int_eq(guard_status_text(&status, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "not attached: nm_guard_svm_exited\n"));
	ck_assert_int_eq(json_array_size(json_object_get(json, "not_attached")), 1);
	json_decref(json);
	free(text);
}
END_TEST

START_TEST(nothing_is_installed)
{
	json_t *json = json_of(NULL);
	char *text = metrics(NULL);

	ck_assert(json_is_false(json_object_get(json, "loaded")));
	ck_assert_ptr_nonnull(strstr(text, "nestmig_guard_loaded 0\n# EOF\n"));
	json_decref(json);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard_status");
	TCase *tcase = tcase_create("guard_status");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, every_counter_is_shown);
	tcase_add_test(tcase, metrics_are_openmetrics);
	tcase_add_test(tcase, values_are_where_they_belong);
	tcase_add_test(tcase, status_as_json);
	tcase_add_test(tcase, what_is_not_attached_is_named);
	tcase_add_test(tcase, nothing_is_installed);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
