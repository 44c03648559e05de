// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of the guard as text and as JSON. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard_event.h"
#include "report_internal.h"

/* What L1 got of an exit, and what it should have got where that differs. */
struct seen {
	const char *name;
	uint64_t got, prescribed;
	bool differs;
};

#define SEEN 4

/* Of VMFUNC what L1 should have seen comes with the event. */
static size_t seen_of_vmx(const struct nm_guard_event *event, struct seen ret_seen[SEEN])
{
	if (guard_is_vmfail(event)) {
		ret_seen[0] =
			(struct seen){.name = "vm_instruction_error", .got = event->exit_code};
		return 1;
	}
	ret_seen[0] = (struct seen){"exit_reason", event->exit_code, event->exit_info[1],
				    event->flags & NM_GUARD_OTHER_EXIT};
	if (event->hook == NM_GUARD_EPTP_SWITCHED)
		return 1;
	ret_seen[1] = (struct seen){.name = "exit_qualification", .got = event->exit_info[0]};
	return 2;
}

/*
 * Of VMEXIT_INVALID: the exit code is -1 in 64 bits, no exit information is stored, and GIF is clear after #VMEXIT
 * (APM volume 2, "Canonicalization and Consistency Checks" and "Global Interrupt Flag, STGI and CLGI").
 */
static size_t seen_of_svm(const struct nm_guard_event *event, struct seen ret_seen[SEEN])
{
	bool info = event->flags & NM_GUARD_EXIT_INFO;

	ret_seen[0] = (struct seen){"exit_code", event->exit_code, UINT64_MAX,
				    event->flags & NM_GUARD_HIGH_HALF};
	ret_seen[1] =
		(struct seen){"exit_info_1", event->exit_info[0], 0, info && event->exit_info[0]};
	ret_seen[2] =
		(struct seen){"exit_info_2", event->exit_info[1], 0, info && event->exit_info[1]};
	/* GIF is looked at only where the VMRUN has failed. */
	if ((uint32_t)event->exit_code != UINT32_MAX)
		return 3;
	ret_seen[3] = (struct seen){"gif", !!(event->flags & NM_GUARD_GIF_SET), 0,
				    event->flags & NM_GUARD_GIF_SET};
	return SEEN;
}

static size_t seen_by_l1(const struct guard_told *told, struct seen ret_seen[SEEN])
{
	const struct nm_guard_event *event = &told->event;

	if (event->hook != NM_GUARD_NESTED_EXIT && event->hook != NM_GUARD_ENTRY_FAILED &&
	    event->hook != NM_GUARD_EPTP_SWITCHED)
		return 0;
	return told->vendor == NESTMIG_VENDOR_AMD ? seen_of_svm(event, ret_seen)
						  : seen_of_vmx(event, ret_seen);
}

/* ---- Text ----------------------------------------------------------------------------------------- */

static const char *colour_of(enum guard_word word)
{
	switch (word) {
	case GUARD_DENIED:
	case GUARD_WOULD_DENY:
	case GUARD_RACED:
		return "\033[31m";
	default:
		return "\033[33m";
	}
}

enum nestmig_error guard_told_text(const struct guard_told *told, bool colour, char **ret_text)
{
	struct seen seen[SEEN];
	size_t count = seen_by_l1(told, seen);
	struct nm_buf buf = {0};

	nm_buf_printf(&buf, "%s %s%s%s %s\n", told->time, colour ? colour_of(told->word) : "",
		      guard_word_name(told->word), colour ? "\033[0m" : "", told->sentence);
	for (size_t i = 0; i < told->finding_count; i++)
		nm_put_finding(&buf, &told->findings[i], colour);
	for (size_t i = 0; i < count; i++) {
		nm_buf_printf(&buf, "  L1 sees %s 0x%" PRIx64, seen[i].name, seen[i].got);
		if (seen[i].differs)
			nm_buf_printf(&buf, "; prescribed: 0x%" PRIx64, seen[i].prescribed);
		nm_buf_puts(&buf, "\n");
	}
	return nm_buf_take(&buf, ret_text);
}

/* ---- JSON ----------------------------------------------------------------------------------------- */

static json_t *hex_json(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static bool add_consequence(json_t *json, enum nm_consequence consequence)
{
	return consequence == NM_CONSEQUENCE_NONE ||
	       nm_json_consequence(json, &nm_consequences[consequence]);
}

static json_t *rules_json(const struct guard_told *told)
{
	json_t *array = json_array();

	for (size_t i = 0; i < told->finding_count; i++) {
		const struct nm_finding *finding = &told->findings[i];
		json_t *json = json_pack("{s:s, s:s}", "id", finding->rule->id, "title",
					 finding->rule->title);

		if (!json || !add_consequence(json, finding->consequence) ||
		    json_array_append_new(array, json)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *values_json(const struct guard_told *told)
{
	json_t *object = json_object();

	for (size_t i = 0; i < told->finding_count; i++)
		for (size_t k = 0; k < told->findings[i].field_count; k++)
			json_object_set_new(object, told->findings[i].fields[k].name,
					    hex_json(told->findings[i].fields[k].value));
	return object;
}

static json_t *l1_json(const struct guard_told *told)
{
	struct seen seen[SEEN];
	size_t count = seen_by_l1(told, seen);
	json_t *json, *prescribed;

	if (!count)
		return json_null();
	json = json_object();
	prescribed = json_object();
	for (size_t i = 0; i < count; i++) {
		json_object_set_new(json, seen[i].name, hex_json(seen[i].got));
		if (seen[i].differs)
			json_object_set_new(prescribed, seen[i].name, hex_json(seen[i].prescribed));
	}
	if (json_object_size(prescribed))
		json_object_set(json, "prescribed", prescribed);
	json_decref(prescribed);
	return json;
}

enum nestmig_error guard_told_json(const struct guard_told *told, char **ret_text)
{
	const struct nm_guard_event *event = &told->event;
	json_t *json =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:s?, s:s}", "schema",
			  "nestmig.guard-event/1", "time", told->time, "event",
			  guard_word_name(told->word), "action", told->action, "pid",
			  (json_int_t)event->pid, "tid", (json_int_t)event->tid, "vmm", told->vmm,
			  "vm", (json_int_t)event->vm, "vm_pid", (json_int_t)event->vmm, "vcpu",
			  (json_int_t)event->vcpu, "ioctl", told->ioctl, "mode", told->mode);

	if (json && (json_object_set_new(json, "rules", rules_json(told)) ||
		     json_object_set_new(json, "values", values_json(told)) ||
		     json_object_set_new(json, "l1", l1_json(told)) ||
		     json_object_set_new(json, "text", json_string(told->sentence)))) {
		json_decref(json);
		json = NULL;
	}
	return nm_json_line(json, ret_text);
}
