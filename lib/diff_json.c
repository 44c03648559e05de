// SPDX-License-Identifier: LGPL-2.1-or-later
/* A diff as one line of JSON, schema "nestmig.diff/1". */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "diff.h"
#include "inspect_smram.h"
#include "jsontext.h"
#include "msrs.h"
#include "report_internal.h"

static json_t *hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

/* The ids of the rules of a bitmap that are, or are not, in another. */
static json_t *rule_ids(const uint64_t *in, const uint64_t *other, bool wanted)
{
	json_t *ids = json_array();

	for (unsigned rule = 0; rule < NESTMIG_RULES; rule++)
		if (nm_rule_bit(in, rule) && (!other || nm_rule_bit(other, rule) == wanted))
			json_array_append_new(ids, json_string(nm_rules[rule].id));
	return ids;
}

static json_t *split(const uint64_t bitmaps[NM_SIDES][NM_RULE_WORDS])
{
	return json_pack("{s:o, s:o, s:o}", "only_a", rule_ids(bitmaps[NM_A], bitmaps[NM_B], false),
			 "only_b", rule_ids(bitmaps[NM_B], bitmaps[NM_A], false), "both",
			 rule_ids(bitmaps[NM_A], bitmaps[NM_B], true));
}

/* A value of one side as inspect shows it; null where it is not there. */
static json_t *side_json(const struct nm_diff_vcpu *d, const struct nm_diff_value *value,
			 enum nm_side side)
{
	if (!(value->in >> side & 1))
		return json_null();
	if (value->kind == NM_DIFF_FIELD)
		return nm_json_field(d->vcpu[side], value->field);
	return json_pack("{s:o}", "value", hex(value->value[side]));
}

static json_t *value_json(const struct nm_diff_vcpu *d, const struct nm_diff_value *value)
{
	json_t *json = json_pack("{s:s}", "name", value->name);

	if (value->kind == NM_DIFF_BYTES)
		json_object_update_new(json, json_pack("{s:I, s:I}", "bytes",
						       (json_int_t)value->value[NM_A], "first",
						       (json_int_t)value->value[NM_B]));
	else
		json_object_update_new(json, json_pack("{s:o, s:o}", "a", side_json(d, value, NM_A),
						       "b", side_json(d, value, NM_B)));
	if (value->kind == NM_DIFF_MSR && *nm_msr_name(value->index))
		json_object_set_new(json, "msr", json_string(nm_msr_name(value->index)));
	json_object_set_new(json, "rules", rule_ids(value->rules, NULL, true));
	if (value->is_idle)
		json_object_set_new(json, "idle", json_true());
	return json;
}

static json_t *report_json(const struct nm_vcpu_report *report)
{
	json_t *json;

	if (!report)
		return json_null();
	json = json_pack("{s:s, s:s}", "mode", report->mode, "verdict",
			 nestmig_verdict_name(report->verdict));
	if (json && nm_json_consequence(json, &nm_consequences[report->outcome]))
		json_object_set_new(json, "certain", json_boolean(report->is_certain));
	return json;
}

static json_t *vcpu_json(const struct nm_diff_vcpu *d, bool all)
{
	json_t *values = json_array();

	for (size_t i = 0; i < d->value_count; i++)
		if (all || !d->values[i].is_idle)
			json_array_append_new(values, value_json(d, &d->values[i]));
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)d->id, "a",
			 report_json(d->report[NM_A]), "b", report_json(d->report[NM_B]), "only_a",
			 nm_json_items(d->items[NM_A]), "only_b", nm_json_items(d->items[NM_B]),
			 "values", values, "findings", split(d->broken), "unknown",
			 split(d->unknown));
}

static json_t *general_json(const struct nm_diff *diff)
{
	json_t *json = json_object();

	for (size_t i = 0; i < diff->general_count; i++) {
		const struct nm_diff_general *general = &diff->general[i];

		json_object_set_new(json, general->name,
				    json_pack("{s:o, s:o}", "a", nm_json_text(general->text[NM_A]),
					      "b", nm_json_text(general->text[NM_B])));
	}
	return json;
}

static json_t *file_json(const struct nm_diff *diff, enum nm_side side)
{
	json_t *json = json_pack("{s:o, s:s, s:s}", "file", nm_json_text(diff->state[side]->path),
				 "format", diff->state[side]->format, "verdict",
				 nestmig_verdict_name(diff->report[side]->verdict));

	if (json)
		nm_json_file_unknown(json, diff->report[side]);
	return json;
}

enum nestmig_error nm_diff_json(const struct nm_diff *diff, bool all, char **ret_text)
{
	json_t *vcpus = json_array();

	for (size_t i = 0; i < diff->vcpu_count; i++)
		json_array_append_new(vcpus, vcpu_json(&diff->vcpus[i], all));
	return nm_json_line(
		json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:I, s:I, s:o, s:o}", "schema",
			  "nestmig.diff/1", "a", file_json(diff, NM_A), "b", file_json(diff, NM_B),
			  "host", nm_json_text(diff->report[NM_A]->host_kernel), "same",
			  !diff->differences, "changes_outcome", diff->changes_outcome,
			  "differences", (json_int_t)diff->differences, "idle",
			  (json_int_t)diff->idle, "state", general_json(diff), "vcpus", vcpus),
		ret_text);
}
