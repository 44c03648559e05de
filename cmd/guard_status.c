// SPDX-License-Identifier: GPL-2.0-or-later
/* The state of a guard and its counters: for people, as JSON, as OpenMetrics. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "error.h"
#include "guard_command.h"
#include "report_internal.h"

/* Of those with a label each is a sample of one metric; they stand together. */
static const struct counter {
	const char *name, *label, *value, *help;
	unsigned index; /* enum nm_guard_counter */
} counters[] = {
#define BY_IOCTL(name, help, first)                                                                \
	{name, "ioctl", "KVM_SET_NESTED_STATE", help, first + NM_GUARD_SET_NESTED_STATE},          \
		{name, "ioctl", "KVM_SET_VCPU_EVENTS", help, first + NM_GUARD_SET_VCPU_EVENTS},    \
	{                                                                                          \
		name, "ioctl", "KVM_RUN", help, first + NM_GUARD_KVM_RUN                           \
	}
	BY_IOCTL("checks", "Nested states judged", NM_GUARD_JUDGED),
	BY_IOCTL("broken", "Of them, with a broken rule", NM_GUARD_BROKEN),
	BY_IOCTL("denied", "Ioctls denied", NM_GUARD_DENIALS),
#undef BY_IOCTL
	{"raced", NULL, NULL, "KVM held something else than what was judged", NM_GUARD_RACES},
#define UNJUDGED(reason, counter)                                                                  \
	{                                                                                          \
		"unjudged", "reason", reason, "Not judged, or not followed", counter               \
	}
	UNJUDGED("unreadable", NM_GUARD_UNREAD),
	UNJUDGED("memory", NM_GUARD_NO_SCRATCH),
	UNJUDGED("vcpus", NM_GUARD_NO_ENTRY),
#undef UNJUDGED
#define EVENT(word, hook)                                                                          \
	{                                                                                          \
		"events", "event", word, "Events", NM_GUARD_EVENTS + hook                          \
	}
	EVENT("set-nested-state", NM_GUARD_SET_NESTED_STATE),
	EVENT("set-vcpu-events", NM_GUARD_SET_VCPU_EVENTS),
	EVENT("kvm-run", NM_GUARD_KVM_RUN),
	EVENT("kvm-run-raced", NM_GUARD_RUN_UNJUDGED),
	EVENT("nested-exit", NM_GUARD_NESTED_EXIT),
	EVENT("entry-failed", NM_GUARD_ENTRY_FAILED),
	EVENT("rsm", NM_GUARD_SMM_LEFT),
	EVENT("smi", NM_GUARD_SMM_ENTERED),
	EVENT("vmfunc", NM_GUARD_EPTP_SWITCHED),
#undef EVENT
	{"suppressed", NULL, NULL, "Events beyond the rate of their VM", NM_GUARD_LIMITED},
	{"lost", NULL, NULL, "Events that nobody read in time", NM_GUARD_LOST},
	{"nested_entries", NULL, NULL, "Entries to L2", NM_GUARD_NESTED_ENTRIES},
	{"nested_exits", NULL, NULL, "Exits from L2 to L1", NM_GUARD_NESTED_EXITS},
	{"synthesised_exits", NULL, NULL, "Of them, made up by KVM", NM_GUARD_MADE_UP_EXITS},
	{"failed_entries", NULL, NULL, "VM entries of L1 that KVM refused",
	 NM_GUARD_FAILED_ENTRIES},
	{"rsm", NULL, NULL, "RSM to L2", NM_GUARD_SMM_LEAVES},
	{"smi", NULL, NULL, "SMIs to L2", NM_GUARD_SMM_ENTRIES},
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

const char *guard_counter_name(enum nm_guard_counter counter)
{
	for (size_t i = 0; i < COUNTERS; i++)
		if (counters[i].index == counter)
			return counters[i].name;
	return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------------- */

static int count_vcpu(const struct nm_guard_vcpu *vcpu, void *data)
{
	(void)vcpu;
	++*(size_t *)data;
	return 0;
}

static void keep_left_out(const char *name, void *data)
{
	struct guard_status *status = data;

	if (status->left_out_count < GUARD_LEFT_OUT_MAX)
		snprintf(status->left_out[status->left_out_count++], sizeof(status->left_out[0]),
			 "%s", name);
}

static enum nestmig_error read_programs(const struct nm_guard *guard, struct guard_status *status,
					struct nestmig_detail *detail)
{
	size_t count = nm_guard_programs(guard);

	status->programs = calloc(count + 1, sizeof(*status->programs));
	if (!status->programs)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (; status->program_count < count; status->program_count++) {
		enum nestmig_error error =
			nm_guard_program(guard, status->program_count,
					 &status->programs[status->program_count], detail);

		if (error)
			return error;
	}
	return NESTMIG_OK;
}

enum nestmig_error guard_status_read(const struct nm_guard *guard, struct guard_status *ret_status,
				     struct nestmig_detail *detail)
{
	struct guard_status status = {0};
	enum nestmig_error error = nm_guard_settings(guard, &status.config, detail);

	if (!error)
		error = nm_guard_count(guard, status.counters, detail);
	if (!error)
		error = nm_guard_count_rules(guard, status.broken, detail);
	if (!error)
		error = nm_guard_vcpus(guard, count_vcpu, &status.vcpus, detail);
	if (!error)
		error = read_programs(guard, &status, detail);
	if (!error)
		error = nm_guard_left_out(guard, &status.config, keep_left_out, &status, detail);
	if (error)
		guard_status_free(&status);
	else
		*ret_status = status;
	return error;
}

void guard_status_free(struct guard_status *status)
{
	free(status->programs);
	status->programs = NULL;
}

static const char *mode_of(const struct guard_status *status)
{
	return status->config.enforce ? "enforce" : "audit";
}

/* ---- Text ------------------------------------------------------------------------------------------- */

enum nestmig_error guard_status_text(const struct guard_status *status, char **ret_text)
{
	struct nm_buf buf = {0};

	if (!status) {
		nm_buf_puts(&buf, "no guard is installed in " GUARD_DIR "\n");
		return nm_buf_take(&buf, ret_text);
	}
	nm_buf_printf(&buf, "A guard is installed in " GUARD_DIR ": mode %s, %s.\n",
		      mode_of(status),
		      status->left_out_count ? "but not all of it" : "all of its programs");
	if (!status->config.lsm)
		nm_buf_puts(&buf, "Nothing can be denied: there is no BPF LSM.\n");
	for (size_t i = 0; i < status->left_out_count; i++)
		nm_buf_printf(&buf, "  not attached: %s\n", status->left_out[i]);
	nm_buf_printf(&buf, "  %12zu  vCPUs with nested state\n", status->vcpus);
	for (size_t i = 0; i < COUNTERS; i++)
		nm_buf_printf(
			&buf, "  %12" PRIu64 "  %s%s%s%s\n", status->counters[counters[i].index],
			counters[i].help, counters[i].value ? " (" : "",
			counters[i].value ? counters[i].value : "", counters[i].value ? ")" : "");
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		if (status->broken[i])
			nm_buf_printf(&buf, "  %12" PRIu64 "  broken: %s\n", status->broken[i],
				      nm_rules[i].id);
	nm_buf_puts(&buf, "  program                      attached to                   missed\n");
	for (size_t i = 0; i < status->program_count; i++)
		nm_buf_printf(&buf, "  %-28s %-28s %7" PRIu64 "\n", status->programs[i].name,
			      status->programs[i].function, status->programs[i].missed);
	return nm_buf_take(&buf, ret_text);
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static json_t *counters_json(const struct guard_status *status)
{
	json_t *object = json_object(), *values;

	for (size_t i = 0; i < COUNTERS; i++) {
		json_t *value = json_integer((json_int_t)status->counters[counters[i].index]);

		if (!counters[i].value) {
			json_object_set_new(object, counters[i].name, value);
			continue;
		}
		values = json_object_get(object, counters[i].name);
		if (!values) {
			values = json_object();
			json_object_set_new(object, counters[i].name, values);
		}
		json_object_set_new(values, counters[i].value, value);
	}
	return object;
}

static json_t *rules_json(const struct guard_status *status)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		if (status->broken[i])
			json_object_set_new(object, nm_rules[i].id,
					    json_integer((json_int_t)status->broken[i]));
	return object;
}

static json_t *programs_json(const struct guard_status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->program_count; i++) {
		const struct nm_guard_program *program = &status->programs[i];

		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name",
						program->name, "function", program->function,
						"missed", (json_int_t)program->missed,
						"instructions", (json_int_t)program->instructions,
						"runs", (json_int_t)program->runs, "run_time_ns",
						(json_int_t)program->run_time));
	}
	return array;
}

static json_t *left_out_json(const struct guard_status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->left_out_count; i++)
		json_array_append_new(array, json_string(status->left_out[i]));
	return array;
}

enum nestmig_error guard_status_json(const struct guard_status *status, char **ret_text)
{
	if (!status)
		return nm_json_line(
			json_pack("{s:s, s:b}", "schema", "nestmig.guard/1", "loaded", 0),
			ret_text);
	return nm_json_line(json_pack("{s:s, s:b, s:s, s:s, s:b, s:I, s:o, s:o, s:o, s:o}",
				      "schema", "nestmig.guard/1", "loaded", 1, "dir", GUARD_DIR,
				      "mode", mode_of(status), "lsm", status->config.lsm, "vcpus",
				      (json_int_t)status->vcpus, "counters", counters_json(status),
				      "rules", rules_json(status), "programs",
				      programs_json(status), "not_attached", left_out_json(status)),
			    ret_text);
}

/* ---- OpenMetrics -------------------------------------------------------------------------------------- */

#define PREFIX "nestmig_guard_"

static void put_gauge(struct nm_buf *buf, const char *name, const char *help, uint64_t value)
{
	nm_buf_printf(buf, "# TYPE " PREFIX "%s gauge\n# HELP " PREFIX "%s %s.\n", name, name,
		      help);
	nm_buf_printf(buf, PREFIX "%s %" PRIu64 "\n", name, value);
}

static void put_head(struct nm_buf *buf, const char *name, const char *help)
{
	nm_buf_printf(buf, "# TYPE " PREFIX "%s counter\n# HELP " PREFIX "%s %s.\n", name, name,
		      help);
}

/* Only of rules that were broken: a metric without a sample is none. */
static void put_rules(struct nm_buf *buf, const struct guard_status *status)
{
	put_head(buf, "rule_broken", "Nested states judged in which the rule was broken");
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		if (status->broken[i])
			nm_buf_printf(buf, PREFIX "rule_broken_total{rule=\"%s\"} %" PRIu64 "\n",
				      nm_rules[i].id, status->broken[i]);
}

enum nestmig_error guard_status_metrics(const struct guard_status *status, char **ret_text)
{
	struct nm_buf buf = {0};

	put_gauge(&buf, "loaded", "Is a guard loaded", status != NULL);
	if (status) {
		put_gauge(&buf, "enforcing", "Does it deny", status->config.enforce);
		put_gauge(&buf, "vcpus", "vCPUs with nested state", status->vcpus);
		put_gauge(&buf, "not_attached", "Programs that this kernel did not take",
			  status->left_out_count);
	}
	for (size_t i = 0; status && i < COUNTERS; i++) {
		const struct counter *counter = &counters[i];

		if (!i || strcmp(counter->name, counter[-1].name) != 0)
			put_head(&buf, counter->name, counter->help);
		nm_buf_printf(&buf, PREFIX "%s_total", counter->name);
		if (counter->label)
			nm_buf_printf(&buf, "{%s=\"%s\"}", counter->label, counter->value);
		nm_buf_printf(&buf, " %" PRIu64 "\n", status->counters[counter->index]);
	}
	if (status)
		put_rules(&buf, status);
	if (status)
		put_head(&buf, "missed", "Runs of a program that the kernel left out");
	for (size_t i = 0; status && i < status->program_count; i++)
		nm_buf_printf(&buf, PREFIX "missed_total{program=\"%s\"} %" PRIu64 "\n",
			      status->programs[i].name, status->programs[i].missed);
	nm_buf_puts(&buf, "# EOF\n");
	return nm_buf_take(&buf, ret_text);
}
