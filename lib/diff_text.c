// SPDX-License-Identifier: LGPL-2.1-or-later
/* A diff as text for people. */
#include <inttypes.h>
#include <string.h>

#include "diff.h"
#include "inspect_text.h"
#include "msrs.h"
#include "report_internal.h"

static const char side_names[NM_SIDES] = {'A', 'B'};

#define LINE 92 /* columns of a list */

/* Words after each other, on as many lines as it takes. */
struct list {
	struct nm_text *t;
	const char *indent;
	size_t column;
};

static void put_word(struct list *list, const char *word)
{
	size_t length = strlen(word);

	if (!list->column || list->column + 1 + length > LINE) {
		nm_buf_printf(&list->t->buf, "%s%s", list->column ? "\n" : "", list->indent);
		list->column = strlen(list->indent);
	} else {
		nm_buf_puts(&list->t->buf, " ");
		list->column++;
	}
	nm_buf_puts(&list->t->buf, word);
	list->column += length;
}

static void end_list(struct list *list)
{
	if (list->column)
		nm_buf_puts(&list->t->buf, "\n");
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void put_side(struct nm_text *t, const struct nm_diff_value *value, enum nm_side side)
{
	nm_buf_printf(&t->buf, "      %c ", side_names[side]);
	if (!(value->in >> side & 1)) {
		nm_buf_printf(&t->buf, "%sis not there%s\n", t->dim, t->plain);
		return;
	}
	nm_buf_printf(&t->buf, "0x%0*" PRIx64, (int)(2 * value->width), value->value[side]);
	if (value->field && value->value[side] && nm_bits_of(value->field->name)) {
		nm_buf_puts(&t->buf, " ");
		nm_text_bits(t, nm_bits_of(value->field->name), value->value[side]);
	}
	nm_buf_puts(&t->buf, "\n");
}

static void put_value(struct nm_text *t, const struct nm_diff_vcpu *d,
		      const struct nm_diff_value *value)
{
	if (value->kind == NM_DIFF_BYTES) {
		nm_buf_printf(&t->buf,
			      "    %s: %" PRIu64
			      " bytes that no field names differ, the first at offset 0x%" PRIx64
			      "\n",
			      value->name, value->value[NM_A], value->value[NM_B]);
		return;
	}
	nm_buf_printf(&t->buf, "    %s%s%s", t->bold, value->name, t->plain);
	if (value->kind == NM_DIFF_MSR && *nm_msr_name(value->index))
		nm_buf_printf(&t->buf, " %s", nm_msr_name(value->index));
	nm_buf_puts(&t->buf, "\n");
	put_side(t, value, NM_A);
	put_side(t, value, NM_B);
	for (unsigned rule = 0; rule < NESTMIG_RULES; rule++)
		if (nm_rule_bit(value->rules, rule))
			nm_buf_printf(&t->buf, "      %s: A %s, B %s\n", nm_rules[rule].id,
				      nm_diff_result(d, NM_A, rule), nm_diff_result(d, NM_B, rule));
}

/* Those that decide a rule, or those that do not. */
static void put_values(struct nm_text *t, const struct nm_diff_vcpu *d, bool decide, bool all)
{
	bool has_heading = false;

	for (size_t i = 0; i < d->value_count; i++) {
		const struct nm_diff_value *value = &d->values[i];

		if (nm_diff_decides(value) != decide || (value->is_idle && !all))
			continue;
		if (!has_heading)
			nm_text_heading(t, decide ? "values by which rules differ" : "other values",
					"");
		has_heading = true;
		put_value(t, d, value);
	}
}

static void put_items(struct nm_text *t, const struct nm_diff_vcpu *d, enum nm_side side)
{
	struct list list = {.t = t, .indent = "    "};
	char heading[] = "only in ?";

	if (!d->items[side])
		return;
	heading[sizeof(heading) - 2] = side_names[side];
	nm_text_heading(t, heading, "");
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++)
		if (d->items[side] >> item & 1)
			put_word(&list, nm_item_name(item));
	end_list(&list);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

static void put_rules(struct nm_text *t, const uint64_t *in, const uint64_t *other, bool wanted,
		      const char *heading)
{
	struct list list = {.t = t, .indent = "    "};

	for (unsigned rule = 0; rule < NESTMIG_RULES; rule++) {
		if (!nm_rule_bit(in, rule) || nm_rule_bit(other, rule) != wanted)
			continue;
		if (!list.column)
			nm_text_heading(t, heading, "");
		put_word(&list, nm_rules[rule].id);
	}
	end_list(&list);
}

static void put_findings(struct nm_text *t, const struct nm_diff_vcpu *d)
{
	const uint64_t *broken_a = d->broken[NM_A], *broken_b = d->broken[NM_B];
	const uint64_t *unknown_a = d->unknown[NM_A], *unknown_b = d->unknown[NM_B];

	put_rules(t, broken_a, broken_b, false, "broken only in A");
	put_rules(t, broken_b, broken_a, false, "broken only in B");
	put_rules(t, broken_a, broken_b, true, "broken in both");
	put_rules(t, unknown_a, unknown_b, false, "not judged only in A");
	put_rules(t, unknown_b, unknown_a, false, "not judged only in B");
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

static void put_outcome(struct nm_text *t, const struct nm_vcpu_report *report, enum nm_side side)
{
	const struct nm_consequence_row *row = &nm_consequences[report->outcome];

	nm_buf_printf(&t->buf, "  %c: %s, %s, %s", side_names[side], report->mode,
		      nestmig_verdict_name(report->verdict), row->outcome);
	if (row->ioctl)
		nm_buf_printf(&t->buf, " (%s%s%s)", row->ioctl, row->errno_name ? ": " : "",
			      row->errno_name ? row->errno_name : "");
	nm_buf_printf(&t->buf, "%s\n", nm_unless(report));
}

static void put_vcpu(struct nm_text *t, const struct nm_diff_vcpu *d, bool all)
{
	nm_buf_printf(&t->buf, "%svCPU %u%s%s\n", t->bold, d->id,
		      d->in == NM_IN_A   ? ": only in A"
		      : d->in == NM_IN_B ? ": only in B"
					 : "",
		      t->plain);
	for (enum nm_side side = NM_A; side < NM_SIDES; side++)
		if (d->report[side])
			put_outcome(t, d->report[side], side);
	if (d->in != NM_IN_BOTH)
		return;
	put_values(t, d, true, all);
	put_findings(t, d);
	put_items(t, d, NM_A);
	put_items(t, d, NM_B);
	put_values(t, d, false, all);
}

static void put_general(struct nm_text *t, const struct nm_diff_general *general)
{
	nm_buf_printf(&t->buf, "%s%s%s\n", t->bold, general->name, t->plain);
	for (enum nm_side side = NM_A; side < NM_SIDES; side++) {
		nm_buf_printf(&t->buf, "  %c: ", side_names[side]);
		if (general->text[side])
			nm_text_foreign(t, general->text[side]);
		else
			nm_buf_printf(&t->buf, "%snot known%s", t->dim, t->plain);
		nm_buf_puts(&t->buf, "\n");
	}
}

static void put_head(struct nm_text *t, const struct nm_diff *diff)
{
	const struct nestmig_report *report = diff->report[NM_A];

	for (enum nm_side side = NM_A; side < NM_SIDES; side++) {
		nm_buf_printf(&t->buf, "%c: ", side_names[side]);
		nm_text_state(t, diff->state[side]);
		if (diff->report[side]->unknown)
			nm_buf_printf(&t->buf, "  %s\n", diff->report[side]->remark);
	}
	nm_buf_puts(&t->buf, "Judged for ");
	if (report->host_kernel) {
		nm_buf_puts(&t->buf, "kernel ");
		nm_text_foreign(t, report->host_kernel);
	} else {
		nm_buf_puts(&t->buf, report->has_host ? "a host of unknown kernel" : "no host");
	}
	nm_buf_puts(&t->buf, ".\n");
}

enum nestmig_error nm_diff_text(const struct nm_diff *diff, bool all, bool colour, char **ret_text)
{
	struct nm_text t = nm_text_new(colour);

	put_head(&t, diff);
	for (size_t i = 0; i < diff->general_count; i++)
		put_general(&t, &diff->general[i]);
	for (size_t i = 0; i < diff->vcpu_count; i++)
		put_vcpu(&t, &diff->vcpus[i], all);
	if (!diff->differences)
		nm_buf_puts(&t.buf, "No difference");
	else
		nm_buf_printf(&t.buf, "%zu difference%s; %s", diff->differences,
			      diff->differences == 1 ? "" : "s",
			      diff->changes_outcome ? "what becomes of a vCPU changes"
						    : "what becomes of the vCPUs is the same");
	if (diff->idle && !all)
		nm_buf_printf(&t.buf, "; of clocks and counters %zu more (--all shows them)",
			      diff->idle);
	nm_buf_puts(&t.buf, ".\n");
	return nm_buf_take(&t.buf, ret_text);
}
