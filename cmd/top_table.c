// SPDX-License-Identifier: GPL-2.0-or-later
/* What vCPUs with nesting have done between two looks. */
#include "top_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "guard_exits.h"
#include "report_internal.h"

#define NS 1000000000

/* ---- A look ------------------------------------------------------------------------------------------ */

bool top_add(struct top_sample *sample, const struct nm_guard_vcpu *vcpu)
{
	if (sample->count == sample->room) {
		size_t room = sample->room ? 2 * sample->room : 16;
		void *more = reallocarray(sample->vcpus, room, sizeof(*sample->vcpus));

		if (!more)
			return false;
		sample->vcpus = more;
		sample->room = room;
	}
	sample->vcpus[sample->count++] = *vcpu;
	return true;
}

/* A number of a VM is not used again. */
static int by_identity(const void *a, const void *b)
{
	const struct nm_guard_vcpu *x = a, *y = b;

	if (x->vm != y->vm)
		return x->vm < y->vm ? -1 : 1;
	return x->vcpu < y->vcpu ? -1 : x->vcpu > y->vcpu;
}

void top_sort(struct top_sample *sample)
{
	size_t kept = 0;

	if (!sample->count)
		return;
	qsort(sample->vcpus, sample->count, sizeof(*sample->vcpus), by_identity);
	/* One that moves in the map while it is read is there twice. */
	for (size_t i = 1; i < sample->count; i++)
		if (by_identity(&sample->vcpus[kept], &sample->vcpus[i]))
			sample->vcpus[++kept] = sample->vcpus[i];
	sample->count = kept + 1;
}

static int add_one(const struct nm_guard_vcpu *vcpu, void *data)
{
	return !top_add(data, vcpu);
}

enum nestmig_error top_look(const struct nm_guard *guard, int64_t now,
			    struct top_sample *ret_sample, struct nestmig_detail *detail)
{
	struct top_sample sample = {.time = now};
	enum nestmig_error error = nm_guard_vcpus(guard, add_one, &sample, detail);

	if (error) {
		top_sample_free(&sample);
		return error;
	}
	top_sort(&sample);
	*ret_sample = sample;
	return NESTMIG_OK;
}

void top_sample_free(struct top_sample *sample)
{
	free(sample->vcpus);
	*sample = (struct top_sample){0};
}

/* ---- Two of them -------------------------------------------------------------------------------------- */

/* Time in L2 and in SMM so far, in ns. */
static double time_with(uint64_t closed, bool is_open, uint64_t since, int64_t now)
{
	int64_t open = is_open ? now - (int64_t)since : 0;

	return (double)closed + (double)(open > 0 ? open : 0);
}

static double time_in_l2(const struct nm_guard_vcpu *vcpu, int64_t now)
{
	return time_with(vcpu->l2_time, vcpu->in_l2, vcpu->l2_since, now);
}

static double time_in_smm(const struct nm_guard_vcpu *vcpu, int64_t now)
{
	return time_with(vcpu->smm_time, vcpu->in_smm, vcpu->smm_since, now);
}

static double limited(double value, double high)
{
	return value < 0 ? 0 : value > high ? high : value;
}

static void name_exit(struct top_row *row, enum nestmig_vendor vendor, uint64_t code)
{
	bool amd = vendor == NESTMIG_VENDOR_AMD;

	switch (guard_exit_kind(vendor, code)) {
	case GUARD_EXIT_TRIPLE_FAULT:
		snprintf(row->last, sizeof(row->last), amd ? "SHUTDOWN" : "TRIPLE_FAULT");
		snprintf(row->last_short, sizeof(row->last_short), amd ? "SHUTDOWN" : "TRIPLE");
		return;
	case GUARD_EXIT_INVALID:
		snprintf(row->last, sizeof(row->last), "VMEXIT_INVALID");
		snprintf(row->last_short, sizeof(row->last_short), "INVALID");
		return;
	case GUARD_EXIT_ENTRY_FAILED:
		snprintf(row->last, sizeof(row->last), "entry failed, reason %u",
			 (unsigned)(code & 0xffff));
		snprintf(row->last_short, sizeof(row->last_short), "ENTRY%u",
			 (unsigned)(code & 0xff));
		return;
	case GUARD_EXIT_OTHER:
		snprintf(row->last, sizeof(row->last), "0x%" PRIx64, code);
		snprintf(row->last_short, sizeof(row->last_short), "0x%x",
			 (unsigned)(code & 0xffff));
	}
}

static void fill_row(struct top_row *row, const struct nm_guard_vcpu *before, int64_t then,
		     const struct nm_guard_vcpu *after, int64_t now, enum nestmig_vendor vendor)
{
	double seconds = (double)(now - then) / NS;

	row->pid = after->vmm;
	row->vm = after->vm;
	row->vcpu = after->vcpu;
	row->mode = after->in_smm ? "SMM" : after->in_l2 ? "L2" : "L1";
	row->synthesised = after->made_up;
	if (after->last_time) {
		name_exit(row, vendor, after->last_exit);
		if ((uint64_t)now > after->last_time)
			row->last_age = ((uint64_t)now - after->last_time) / NS;
	}
	if (seconds <= 0)
		return;
	row->l2_share =
		limited((time_in_l2(after, now) - time_in_l2(before, then)) / NS / seconds, 1);
	row->smm_share =
		limited((time_in_smm(after, now) - time_in_smm(before, then)) / NS / seconds, 1);
	row->entries = (double)(after->entries - before->entries) / seconds;
	row->exits = (double)(after->exits - before->exits) / seconds;
}

static int by_load(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	double load_x = x->entries + x->exits, load_y = y->entries + y->exits;

	if (load_x != load_y)
		return load_x > load_y ? -1 : 1;
	if (x->l2_share != y->l2_share)
		return x->l2_share > y->l2_share ? -1 : 1;
	if (x->vm != y->vm)
		return x->vm < y->vm ? -1 : 1;
	return x->vcpu < y->vcpu ? -1 : x->vcpu > y->vcpu;
}

enum nestmig_error top_compare(const struct top_sample *before, const struct top_sample *after,
			       enum nestmig_vendor vendor,
			       bool (*name_of)(uint32_t pid, char *name, size_t size),
			       struct top_table *ret_table)
{
	static const struct nm_guard_vcpu nothing;
	struct top_table table = {.interval = (double)(after->time - before->time) / NS};

	table.rows = calloc(after->count + 1, sizeof(*table.rows));
	if (!table.rows)
		return NESTMIG_ERR_NOMEM;
	for (; table.count < after->count; table.count++) {
		const struct nm_guard_vcpu *vcpu = &after->vcpus[table.count];
		const struct nm_guard_vcpu *earlier =
			before->count ? bsearch(vcpu, before->vcpus, before->count,
						sizeof(*before->vcpus), by_identity)
				      : NULL;
		struct top_row *row = &table.rows[table.count];
		char name[GUARD_NAME_SIZE] = "?";

		fill_row(row, earlier ? earlier : &nothing, before->time, vcpu, after->time,
			 vendor);
		if (!name_of(vcpu->vmm, name, sizeof(name)))
			snprintf(name, sizeof(name), "?");
		guard_name(name, row->vmm);
	}
	qsort(table.rows, table.count, sizeof(*table.rows), by_load);
	*ret_table = table;
	return NESTMIG_OK;
}

void top_table_free(struct top_table *table)
{
	free(table->rows);
	*table = (struct top_table){0};
}

/* ---- Rendering ----------------------------------------------------------------------------------------- */

/* A duration in three characters, up to 99 days. */
static void put_age(struct nm_buf *buf, uint64_t seconds)
{
	if (seconds < 100)
		nm_buf_printf(buf, "%" PRIu64 "s", seconds);
	else if (seconds < 100 * 60)
		nm_buf_printf(buf, "%" PRIu64 "m", seconds / 60);
	else if (seconds < 100 * 3600)
		nm_buf_printf(buf, "%" PRIu64 "h", seconds / 3600);
	else
		nm_buf_printf(buf, "%" PRIu64 "d", seconds / 86400);
}

static void put_row(struct nm_buf *buf, const struct top_row *row)
{
	nm_buf_printf(buf, "%7u %-15s %4u %4u %-4s %3.0f%% %8.0f %8.0f %5" PRIu64, row->pid,
		      row->vmm, row->vm, row->vcpu, row->mode, 100 * row->l2_share, row->entries,
		      row->exits, row->synthesised < 99999 ? row->synthesised : UINT64_C(99999));
	if (row->last[0]) {
		nm_buf_printf(buf, " %s ", row->last_short);
		put_age(buf, row->last_age);
	}
	nm_buf_puts(buf, "\n");
}

enum nestmig_error top_text(const struct top_table *table, size_t rows, char **ret_text)
{
	size_t shown = rows && rows < table->count ? rows : table->count;
	struct nm_buf buf = {0};

	nm_buf_printf(&buf, "nestmig top: %zu vCPU%s with nested state, %.1f s\n", table->count,
		      table->count == 1 ? "" : "s", table->interval);
	nm_buf_puts(&buf, "    PID VMM               VM vCPU MODE  L2%  ENTRY/s   EXIT/s SYNTH "
			  "LAST\n");
	for (size_t i = 0; i < shown; i++)
		put_row(&buf, &table->rows[i]);
	if (shown < table->count)
		nm_buf_printf(&buf, "and %zu more\n", table->count - shown);
	return nm_buf_take(&buf, ret_text);
}

/* Two digits behind the point say enough, and differ by no rounding of the machine. */
static json_t *rounded(double value)
{
	return json_real((double)(int64_t)(value * 100 + 0.5) / 100);
}

static json_t *row_json(const struct top_row *row)
{
	return json_pack("{s:I, s:s, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:I, s:s?}", "pid",
			 (json_int_t)row->pid, "vmm", row->vmm, "vm", (json_int_t)row->vm, "vcpu",
			 (json_int_t)row->vcpu, "mode", row->mode, "l2_share",
			 rounded(row->l2_share), "smm_share", rounded(row->smm_share),
			 "entries_per_s", rounded(row->entries), "exits_per_s", rounded(row->exits),
			 "synthesised", (json_int_t)row->synthesised, "last_synthesised",
			 row->last[0] ? row->last : NULL);
}

enum nestmig_error top_json(const struct top_table *table, char **ret_text)
{
	json_t *vcpus = json_array();

	for (size_t i = 0; i < table->count; i++)
		json_array_append_new(vcpus, row_json(&table->rows[i]));
	return nm_json_line(json_pack("{s:s, s:o, s:o}", "schema", "nestmig.top/1", "interval_s",
				      rounded(table->interval), "vcpus", vcpus),
			    ret_text);
}
