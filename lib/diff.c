// SPDX-License-Identifier: LGPL-2.1-or-later
/* What differs between two states: vCPUs by id, the state as a whole, and what the rules say. */
#include "diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_internal.h"

/* ---- Rules ----------------------------------------------------------------------------------- */

static void set_bit(uint64_t *bitmap, unsigned rule)
{
	bitmap[rule / 64] |= UINT64_C(1) << (rule % 64);
}

const char *nm_diff_result(const struct nm_diff_vcpu *vcpu, enum nm_side side, unsigned rule)
{
	if (nm_rule_bit(vcpu->broken[side], rule))
		return "broken";
	return nm_rule_bit(vcpu->unknown[side], rule) ? "not judged" : "holds";
}

bool nm_diff_rule_differs(const struct nm_diff_vcpu *vcpu, unsigned rule)
{
	return vcpu->in == NM_IN_BOTH &&
	       (nm_rule_bit(vcpu->broken[NM_A], rule) != nm_rule_bit(vcpu->broken[NM_B], rule) ||
		nm_rule_bit(vcpu->unknown[NM_A], rule) != nm_rule_bit(vcpu->unknown[NM_B], rule));
}

bool nm_diff_decides(const struct nm_diff_value *value)
{
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		if (value->rules[i])
			return true;
	return false;
}

/* Is name one of the words of a text? */
static bool names(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (*text) {
		size_t word = strcspn(text, " ");

		if (word == length && memcmp(text, name, length) == 0)
			return true;
		text += word;
		text += strspn(text, " ");
	}
	return false;
}

static void take_report(struct nm_diff_vcpu *d, enum nm_side side)
{
	const struct nm_vcpu_report *report = d->report[side];

	for (size_t i = 0; i < report->finding_count; i++)
		set_bit(d->broken[side], (unsigned)(report->findings[i].rule - nm_rules));
	for (size_t i = 0; i < report->undecided_count; i++)
		set_bit(d->unknown[side], (unsigned)(report->undecided[i].rule - nm_rules));
}

/* Which rules show each of the values and say something else because of it. */
static void find_deciding(struct nm_diff_vcpu *d)
{
	for (unsigned rule = 0; rule < NESTMIG_RULES; rule++) {
		if (!nm_diff_rule_differs(d, rule))
			continue;
		for (size_t i = 0; i < d->value_count; i++)
			if (names(nm_rules[rule].fields, d->values[i].name))
				set_bit(d->values[i].rules, rule);
	}
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct nm_diff_vcpu *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->in < y->in ? -1 : x->in > y->in;
}

/* One entry a vCPU of either side, then those of one id are made one. */
static enum nestmig_error pair_vcpus(struct nm_diff *diff)
{
	size_t kept = 0;

	diff->vcpus = calloc(diff->state[NM_A]->vcpu_count + diff->state[NM_B]->vcpu_count + 1,
			     sizeof(*diff->vcpus));
	if (!diff->vcpus)
		return NESTMIG_ERR_NOMEM;
	for (enum nm_side side = NM_A; side < NM_SIDES; side++)
		for (size_t i = 0; i < diff->state[side]->vcpu_count; i++) {
			struct nm_diff_vcpu *d = &diff->vcpus[diff->vcpu_count++];

			d->in = 1U << side;
			d->vcpu[side] = &diff->state[side]->vcpus[i];
			d->report[side] = &diff->report[side]->vcpus[i];
			d->id = d->vcpu[side]->id;
		}
	qsort(diff->vcpus, diff->vcpu_count, sizeof(*diff->vcpus), by_id);
	for (size_t i = 0; i < diff->vcpu_count; i++) {
		struct nm_diff_vcpu *d = &diff->vcpus[i];

		if (kept && diff->vcpus[kept - 1].id == d->id) {
			diff->vcpus[kept - 1].in |= d->in;
			diff->vcpus[kept - 1].vcpu[NM_B] = d->vcpu[NM_B];
			diff->vcpus[kept - 1].report[NM_B] = d->report[NM_B];
		} else {
			diff->vcpus[kept++] = *d;
		}
	}
	diff->vcpu_count = kept;
	return NESTMIG_OK;
}

static enum nestmig_error compare_vcpu(struct nm_diff *diff, struct nm_diff_vcpu *d)
{
	enum nestmig_error error;

	for (enum nm_side side = NM_A; side < NM_SIDES; side++)
		if (d->report[side])
			take_report(d, side);
	if (d->in != NM_IN_BOTH) {
		diff->differences++;
		diff->changes_outcome = true;
		return NESTMIG_OK;
	}
	error = nm_diff_values(d);
	if (error)
		return error;
	find_deciding(d);
	for (size_t i = 0; i < d->value_count; i++)
		if (d->values[i].is_idle)
			diff->idle++;
		else
			diff->differences++;
	diff->differences += (size_t)__builtin_popcountll(d->items[NM_A] | d->items[NM_B]);
	for (unsigned rule = 0; rule < NESTMIG_RULES; rule++)
		diff->rules += nm_diff_rule_differs(d, rule);
	if (d->report[NM_A]->verdict != d->report[NM_B]->verdict ||
	    d->report[NM_A]->outcome != d->report[NM_B]->outcome ||
	    d->report[NM_A]->is_certain != d->report[NM_B]->is_certain)
		diff->changes_outcome = true;
	return NESTMIG_OK;
}

/* ---- The state as a whole -------------------------------------------------------------------- */

struct range {
	uint64_t gpa, last;
	bool smm_only;
};

static int by_range(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->smm_only != y->smm_only)
		return x->smm_only ? 1 : -1;
	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* The ranges of RAM, sorted, those that touch made one. */
static struct range *ranges_of(const struct nestmig_state *state, size_t *ret_count)
{
	struct range *ranges = calloc(state->extent_count + 1, sizeof(*ranges));
	size_t kept = 0;

	if (!ranges)
		return NULL;
	for (size_t i = 0; i < state->extent_count; i++) {
		const struct nm_extent *extent = &state->extents[i];

		ranges[i] = (struct range){extent->gpa, extent->gpa + (extent->size - 1),
					   extent->smm_only};
	}
	qsort(ranges, state->extent_count, sizeof(*ranges), by_range);
	for (size_t i = 0; i < state->extent_count; i++) {
		struct range *before = kept ? &ranges[kept - 1] : NULL;

		if (before && before->smm_only == ranges[i].smm_only &&
		    (before->last == UINT64_MAX || ranges[i].gpa <= before->last + 1)) {
			if (ranges[i].last > before->last)
				before->last = ranges[i].last;
		} else {
			ranges[kept++] = ranges[i];
		}
	}
	*ret_count = kept;
	return ranges;
}

#define RANGES_SHOWN 8

static char *memory_text(const struct nestmig_state *state)
{
	struct nm_buf buf = {0};
	struct range *ranges;
	char *text = NULL;
	size_t count = 0;

	if (!state->extent_count && !state->memory_known)
		return NULL;
	ranges = ranges_of(state, &count);
	if (!ranges)
		return NULL;
	nm_buf_puts(&buf, state->memory_known ? "all of" : "part of");
	for (size_t i = 0; i < count && i < RANGES_SHOWN; i++)
		nm_buf_printf(&buf, " 0x%" PRIx64 "-0x%" PRIx64 "%s", ranges[i].gpa, ranges[i].last,
			      ranges[i].smm_only ? " (in SMM)" : "");
	if (count > RANGES_SHOWN)
		nm_buf_printf(&buf, " and %zu more", count - RANGES_SHOWN);
	free(ranges);
	return nm_buf_take(&buf, &text) ? NULL : text;
}

static enum nestmig_error same_memory(const struct nestmig_state *a, const struct nestmig_state *b,
				      bool *ret_same)
{
	size_t count_a = 0, count_b = 0;
	struct range *x = ranges_of(a, &count_a), *y = ranges_of(b, &count_b);
	enum nestmig_error error = x && y ? NESTMIG_OK : NESTMIG_ERR_NOMEM;
	bool same = a->memory_known == b->memory_known && count_a == count_b;

	for (size_t i = 0; i < count_a && same && !error; i++)
		same = x[i].gpa == y[i].gpa && x[i].last == y[i].last &&
		       x[i].smm_only == y[i].smm_only;
	free(x);
	free(y);
	*ret_same = same;
	return error;
}

/* Takes the texts over, also on failure. They differ if one of them is NULL or they are not the same. */
static void add_general(struct nm_diff *diff, const char *name, char *a, char *b, bool differ)
{
	if (!differ) {
		free(a);
		free(b);
		return;
	}
	diff->general[diff->general_count++] = (struct nm_diff_general){name, {a, b}};
	diff->differences++;
}

static enum nestmig_error add_texts(struct nm_diff *diff, const char *name, const char *a,
				    const char *b)
{
	char *x = a ? strdup(a) : NULL, *y = b ? strdup(b) : NULL;

	if ((a && !x) || (b && !y)) {
		free(x);
		free(y);
		return NESTMIG_ERR_NOMEM;
	}
	add_general(diff, name, x, y, !a != !b || (a && strcmp(a, b) != 0));
	return NESTMIG_OK;
}

static enum nestmig_error compare_general(struct nm_diff *diff)
{
	const struct nestmig_state *a = diff->state[NM_A], *b = diff->state[NM_B];
	enum nestmig_error error =
		add_texts(diff, "vendor", nm_vendor_name(a->vendor), nm_vendor_name(b->vendor));
	bool same = true;

	if (!error)
		error = add_texts(diff, "machine", a->machine, b->machine);
	if (!error)
		error = add_texts(diff, "restore_order", a->restore_order, b->restore_order);
	if (!error)
		error = same_memory(a, b, &same);
	if (!error && !same)
		add_general(diff, "memory", memory_text(a), memory_text(b), true);
	return error;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static enum nestmig_error fill(struct nm_diff *diff, const struct nestmig_host *host)
{
	enum nestmig_error error = nestmig_judge(diff->state[NM_A], host, &diff->report[NM_A]);

	if (!error)
		error = nestmig_judge(diff->state[NM_B], host, &diff->report[NM_B]);
	if (!error)
		error = compare_general(diff);
	if (!error)
		error = pair_vcpus(diff);
	for (size_t i = 0; i < diff->vcpu_count && !error; i++)
		error = compare_vcpu(diff, &diff->vcpus[i]);
	/* Such as that QEMU restores one and something else the other. */
	if (!diff->differences)
		diff->differences = diff->rules;
	return error;
}

enum nestmig_error nm_diff_new(const struct nestmig_state *a, const struct nestmig_state *b,
			       const struct nestmig_host *host, struct nm_diff **ret_diff)
{
	struct nm_diff *diff = calloc(1, sizeof(*diff));
	enum nestmig_error error;

	if (!diff)
		return NESTMIG_ERR_NOMEM;
	diff->state[NM_A] = a;
	diff->state[NM_B] = b;
	error = fill(diff, host);
	if (error) {
		nm_diff_free(diff);
		return error;
	}
	*ret_diff = diff;
	return NESTMIG_OK;
}

void nm_diff_free(struct nm_diff *diff)
{
	if (!diff)
		return;
	for (size_t i = 0; i < diff->vcpu_count; i++)
		free(diff->vcpus[i].values);
	free(diff->vcpus);
	for (enum nm_side side = NM_A; side < NM_SIDES; side++) {
		nestmig_report_free(diff->report[side]);
		for (size_t i = 0; i < diff->general_count; i++)
			free(diff->general[i].text[side]);
	}
	free(diff);
}
