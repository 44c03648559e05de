// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig migrate: what has come of it, as a text and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "migrate.h"

/* ---- Text ------------------------------------------------------------------------------------- */

/* "SVM or VMX offered to 2, on in 2, L2 active in 1 of 2 vCPUs". */
static void print_levels(const struct check_answer *answer)
{
	if (answer->told)
		printf("nesting is offered to %u, ", answer->exposed);
	printf("SVM or VMX is on in %u, L2 is active in %u of %u vCPU%s", answer->on,
	       answer->active, answer->vcpus, answer->vcpus == 1 ? "" : "s");
}

/* One line if there is nothing to say, else the report. */
static void print_check(const struct migrate_result *result, struct migrate_check *check,
			const char *when)
{
	if (!check->is_made)
		return;
	if (check->answer.verdict != NESTMIG_VERDICT_OK) {
		cli_print(check->answer.report);
		check->answer.report = NULL;
	}
	cli_put_name(stdout, result->name);
	printf(": %s: %s; ", when, nestmig_verdict_name(check->answer.verdict));
	print_levels(&check->answer);
	printf("; %" PRId64 ".%" PRId64 " ms\n", check->cost_us / 1000,
	       check->cost_us % 1000 / 100);
}

static void print_why(const struct migrate_result *result)
{
	if (*result->why)
		printf(": ");
	cli_put_name(stdout, result->why);
}

static void print_end(const struct migrate_result *result)
{
	cli_put_name(stdout, result->name);
	if (result->is_migrated) {
		printf(": migrated in %" PRId64 ".%" PRId64 " s", result->total_ms / 1000,
		       result->total_ms % 1000 / 100);
		if (result->downtime_us >= 0)
			printf(", stopped for %" PRId64 " ms", result->downtime_us / 1000);
		print_why(result);
	} else if (result->is_refused) {
		printf(": refused%s",
		       result->is_at_switchover ? " at the switchover" : ", nothing was sent");
		print_why(result);
		printf("; --force migrates it all the same");
	} else {
		printf(": not migrated");
		print_why(result);
	}
	if (result->at) {
		printf("; the VM is at the %s (source: ", result->at);
		cli_put_name(stdout, result->source);
		printf(", destination: ");
		cli_put_name(stdout, result->dest);
		putchar(')');
	}
	putchar('\n');
	if (result->checked)
		printf("Checked: %s\n", result->checked);
	if (result->unchecked)
		printf("Not checked: %s\n", result->unchecked);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static json_t *check_json(const struct migrate_check *check)
{
	const struct check_answer *answer = &check->answer;

	if (!check->is_made)
		return NULL;
	return json_pack("{s:s, s:f, s:I, s:I, s:{s:I, s:o, s:I, s:I}, s:o?}", "verdict",
			 nestmig_verdict_name(answer->verdict), "ms",
			 (double)check->cost_us / 1000.0, "bytes", (json_int_t)answer->bytes,
			 "pages", (json_int_t)answer->pages, "levels", "vcpus",
			 (json_int_t)answer->vcpus, "exposed",
			 answer->told ? json_integer(answer->exposed) : json_null(), "on",
			 (json_int_t)answer->on, "active", (json_int_t)answer->active, "report",
			 json_loads(answer->report, 0, NULL));
}

static json_t *downtime_json(const struct migrate_result *result)
{
	return result->downtime_us < 0 ? json_null()
				       : json_real((double)result->downtime_us / 1000.0);
}

static enum nestmig_error print_json(const struct migrate_result *result)
{
	bool is_begun = result->at != NULL;
	json_t *json = json_pack(
		"{s:s, s:o, s:b, s:b, s:s?, s:s?, s:s?, s:o, s:o?, s:o?, s:I, s:I, s:o, s:s?, "
		"s:s?}",
		"schema", "nestmig.migrate/1", "vm", nm_json_text(result->name), "migrated",
		result->is_migrated, "refused", result->is_refused, "at", result->at, "source",
		is_begun ? result->source : NULL, "destination", is_begun ? result->dest : NULL,
		"reason", nm_json_text(*result->why ? result->why : NULL), "preflight",
		check_json(&result->before), "check", check_json(&result->check), "ram_bytes",
		(json_int_t)result->bytes, "total_ms", (json_int_t)result->total_ms, "downtime_ms",
		downtime_json(result), "checked", result->checked, "unchecked", result->unchecked);

	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

enum nestmig_error migrate_report(const struct migrate_request *request,
				  struct migrate_result *result)
{
	if (request->json)
		return print_json(result);
	print_check(result, &result->before, "before");
	print_check(result, &result->check, "at the switchover");
	print_end(result);
	return NESTMIG_OK;
}
