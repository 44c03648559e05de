// SPDX-License-Identifier: LGPL-2.1-or-later
/* The report as JSON: one line, schema "nestmig.report/1". */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "judge.h"
#include "jsontext.h"
#include "report_internal.h"

bool nm_json_consequence(json_t *object, const struct nm_consequence_row *row)
{
	if (json_object_set_new(object, "outcome", json_string(row->outcome)))
		return false;
	if (!row->ioctl)
		return true;
	if (json_object_set_new(object, "ioctl", json_string(row->ioctl)))
		return false;
	/* A number is what the ioctl returns; which number, may go by the state. */
	if (!row->errno_name)
		return true;
	if (row->errno_name[0] >= '0' && row->errno_name[0] <= '9')
		return !json_object_set_new(object, "returns",
					    json_integer(row->errno_name[0] - '0'));
	return !json_object_set_new(object, "errno", json_string(row->errno_name));
}

json_t *nm_json_items(uint64_t items)
{
	json_t *array = json_array();

	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++)
		if (items >> i & 1)
			json_array_append_new(array, json_string(nm_item_name(i)));
	return array;
}

enum nestmig_error nm_json_line(json_t *root, char **ret_text)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	struct nm_buf buf = {0};

	json_decref(root);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	nm_buf_printf(&buf, "%s\n", text);
	free(text);
	return nm_buf_take(&buf, ret_text);
}

/* Values are texts in hexadecimal, as in nestmig.inspect/1. */
static json_t *fields_json(const struct nm_finding *finding)
{
	json_t *fields = json_object();

	for (size_t i = 0; i < finding->field_count; i++) {
		const struct nm_shown_field *field = &finding->fields[i];
		char hex[24];

		if (!field->known)
			continue;
		snprintf(hex, sizeof(hex), "0x%" PRIx64, field->value);
		json_object_set_new(fields, field->name, json_string(hex));
	}
	return fields;
}

static json_t *offsets_json(const struct nm_finding *finding)
{
	json_t *offsets = json_object();

	for (size_t i = 0; i < finding->field_count; i++) {
		const struct nm_shown_field *field = &finding->fields[i];

		if (field->known && field->offset != UINT64_MAX)
			json_object_set_new(offsets, field->name,
					    json_integer((json_int_t)field->offset));
	}
	return offsets;
}

/* One sentence on what must hold, one on what follows. */
static json_t *message_json(const struct nm_finding *finding)
{
	struct nm_buf buf = {0};
	char *text;
	json_t *json;

	nm_buf_printf(&buf, "Does not hold: %s. %s%s%s", finding->rule->title, finding->detail,
		      *finding->detail ? " " : "", nm_consequences[finding->consequence].text);
	if (nm_buf_take(&buf, &text))
		return NULL;
	json = json_string(text);
	free(text);
	return json;
}

static json_t *finding_json(const struct nm_finding *finding)
{
	const struct nm_consequence_row *row = &nm_consequences[finding->consequence];
	json_t *json =
		json_pack("{s:s, s:s, s:s}", "rule", finding->rule->id, "severity",
			  nm_severity_name(finding->severity), "stage", nm_stage_name(row->stage));

	if (!json || !nm_json_consequence(json, row) ||
	    json_object_set_new(json, "message", message_json(finding)) ||
	    json_object_set_new(json, "fields", fields_json(finding)) ||
	    json_object_set_new(json, "offsets", offsets_json(finding)) ||
	    json_object_set_new(json, "reference", json_string(finding->rule->reference))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *findings_json(const struct nm_vcpu_report *vcpu)
{
	json_t *array = json_array();

	for (size_t i = 0; i < vcpu->finding_count; i++)
		if (json_array_append_new(array, finding_json(&vcpu->findings[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *vcpu_json(const struct nm_vcpu_report *vcpu)
{
	json_t *unknown = json_array(), *json;
	uint64_t missing = 0;

	for (size_t i = 0; i < vcpu->undecided_count; i++) {
		json_array_append_new(unknown, json_string(vcpu->undecided[i].rule->id));
		missing |= vcpu->undecided[i].missing;
	}
	json = json_pack("{s:I, s:s, s:b, s:s}", "id", (json_int_t)vcpu->id, "mode", vcpu->mode,
			 "nested", !vcpu->is_not_nested, "verdict",
			 nestmig_verdict_name(vcpu->verdict));
	if (!json || !nm_json_consequence(json, &nm_consequences[vcpu->outcome]) ||
	    json_object_set_new(json, "certain", json_boolean(vcpu->is_certain)) ||
	    json_object_set_new(json, "findings", findings_json(vcpu)) ||
	    json_object_set(json, "unknown", unknown) ||
	    json_object_set_new(json, "missing", nm_json_items(missing))) {
		json_decref(json);
		json = NULL;
	}
	json_decref(unknown);
	return json;
}

void nm_json_file_unknown(json_t *object, const struct nestmig_report *report)
{
	if (report->unknown)
		json_object_set_new(object, "unknown", json_pack("[s]", report->unknown));
	if (report->remark)
		json_object_set_new(object, "remark", nm_json_text(report->remark));
}

static json_t *report_json(const struct nestmig_report *report, const char *file)
{
	json_t *vcpus = json_array(), *json;

	for (size_t i = 0; i < report->vcpu_count; i++)
		if (json_array_append_new(vcpus, vcpu_json(&report->vcpus[i]))) {
			json_decref(vcpus);
			return NULL;
		}
	json = json_pack("{s:s, s:o, s:o, s:s?, s:o, s:s, s:o}", "schema", "nestmig.report/1",
			 "file", nm_json_text(file), "format", nm_json_text(report->format),
			 "vendor", nm_vendor_name(report->vendor), "host",
			 nm_json_text(report->host_kernel), "verdict",
			 nestmig_verdict_name(report->verdict), "vcpus", vcpus);
	if (json)
		nm_json_file_unknown(json, report);
	return json;
}

enum nestmig_error nestmig_report_json(const struct nestmig_report *report, const char *file,
				       char **ret_text)
{
	return nm_json_line(report_json(report, file), ret_text);
}
