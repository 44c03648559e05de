// SPDX-License-Identifier: LGPL-2.1-or-later
/* .nms: the JSON of the record SOURCE. */
#include "nms_format.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define SCHEMA "nestmig.source/1"

static const char *kind_name(enum nm_nms_kind kind)
{
	return kind == NM_NMS_FULL ? "full" : "state-only";
}

/* NULL for unknown, which becomes JSON null. */
static const char *vendor_name(enum nestmig_vendor vendor)
{
	switch (vendor) {
	case NESTMIG_VENDOR_INTEL:
		return "intel";
	case NESTMIG_VENDOR_AMD:
		return "amd";
	default:
		return NULL;
	}
}

static bool is_text(const char *text)
{
	json_t *string = text ? json_string(text) : NULL;
	bool is_utf8 = string != NULL;

	json_decref(string);
	return is_utf8 || !text;
}

enum nestmig_error nms_info_format(const struct nm_nms_info *info, char **ret_text,
				   struct nestmig_detail *detail)
{
	json_t *json;
	char *text;

	if (!info->tool || !info->time)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "the snapshot's source lacks the tool's version or the time");
	if (!is_text(info->tool) || !is_text(info->time) || !is_text(info->qemu) ||
	    !is_text(info->machine) || !is_text(info->run_state))
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "a text of the snapshot's source is not UTF-8");
	json = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?}", "schema", SCHEMA, "tool",
			 info->tool, "kind", kind_name(info->kind), "time", info->time, "qemu",
			 info->qemu, "machine", info->machine, "run_state", info->run_state,
			 "vendor", vendor_name(info->vendor));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	*ret_text = text;
	return NESTMIG_OK;
}

/* A text; an optional one may be absent or null. */
static enum nestmig_error get_text(const json_t *json, uint64_t offset, const char *key,
				   bool is_required, const char **ret_text,
				   struct nestmig_detail *detail)
{
	const json_t *value = json_object_get(json, key);

	if (!is_required && (!value || json_is_null(value))) {
		*ret_text = NULL;
		return NESTMIG_OK;
	}
	if (!json_is_string(value))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset, "record SOURCE: \"%s\" is %s",
				  key, value ? "not a text" : "missing");
	*ret_text = json_string_value(value);
	return NESTMIG_OK;
}

static enum nestmig_error get_all(const json_t *json, uint64_t offset, struct nm_nms_info *info,
				  const char **kind, const char **vendor,
				  struct nestmig_detail *detail)
{
	const struct {
		const char *key;
		bool is_required;
		const char **text;
	} rows[] = {
		{"tool", true, &info->tool},
		{"time", true, &info->time},
		{"kind", true, kind},
		{"vendor", false, vendor},
		{"qemu", false, &info->qemu},
		{"machine", false, &info->machine},
		{"run_state", false, &info->run_state},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum nestmig_error error = get_text(json, offset, rows[i].key, rows[i].is_required,
						    rows[i].text, detail);

		if (error)
			return error;
	}
	return NESTMIG_OK;
}

/* The texts are of a file that is not trusted: messages do not repeat them. */
static enum nestmig_error parse(const json_t *json, uint64_t offset, struct nm_nms_info *ret_info,
				struct nestmig_detail *detail)
{
	const char *schema, *kind, *vendor;
	struct nm_nms_info info = {0};
	enum nestmig_error error = get_text(json, offset, "schema", true, &schema, detail);

	if (error)
		return error;
	if (strcmp(schema, SCHEMA) != 0)
		return nm_fail_at(detail, NESTMIG_ERR_UNSUPPORTED, offset,
				  "record SOURCE: its schema is not \"" SCHEMA "\"");
	error = get_all(json, offset, &info, &kind, &vendor, detail);
	if (error)
		return error;
	if (strcmp(kind, "full") != 0 && strcmp(kind, "state-only") != 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "record SOURCE: \"kind\" is none that is known");
	if (vendor && strcmp(vendor, "intel") != 0 && strcmp(vendor, "amd") != 0)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset,
				  "record SOURCE: \"vendor\" is none that is known");
	info.kind = strcmp(kind, "full") == 0 ? NM_NMS_FULL : NM_NMS_STATE_ONLY;
	if (vendor)
		info.vendor =
			strcmp(vendor, "intel") == 0 ? NESTMIG_VENDOR_INTEL : NESTMIG_VENDOR_AMD;
	*ret_info = info;
	return NESTMIG_OK;
}

enum nestmig_error nms_info_parse(struct nm_nms *nms, const struct nm_nms_record *record,
				  struct nestmig_detail *detail)
{
	json_error_t trouble;
	const uint8_t *text;
	enum nestmig_error error;

	error = nm_source_window(nms->source, record->payload_offset, (size_t)record->length, &text,
				 detail);
	if (error)
		return error;
	nms->source_json = json_loadb((const char *)text, (size_t)record->length,
				      JSON_REJECT_DUPLICATES, &trouble);
	if (!nms->source_json)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT,
				  record->payload_offset + (unsigned)trouble.position,
				  "record SOURCE is not JSON");
	if (!json_is_object(nms->source_json))
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, record->payload_offset,
				  "record SOURCE is not a JSON object");
	return parse(nms->source_json, record->payload_offset, &nms->info, detail);
}
