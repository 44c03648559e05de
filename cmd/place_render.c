// SPDX-License-Identifier: GPL-2.0-or-later
/* What nestmig place says of one state. */
#include "place_render.h"

#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "jsontext.h"
#include "report_internal.h"

/* Of a longer list of hosts the table names these; JSON has all. */
#define NAMES_SHOWN 8

#define NO_GROUP    SIZE_MAX

/* ---- Judging -------------------------------------------------------------------------------- */

/* The group that a placement is in; a new one if there is none. NO_GROUP: out of memory. */
static size_t group_for(struct placed *placed, const struct nm_placement *placement)
{
	size_t count = placed->group_count;

	for (size_t i = 0; i < count; i++)
		if (memcmp(&placed->groups[i].placement, placement, sizeof(*placement)) == 0)
			return i;
	/* Room doubles at each power of two. */
	if (!(count & (count - 1))) {
		struct place_group *more = reallocarray(placed->groups, count ? 2 * count : 1,
							sizeof(*placed->groups));

		if (!more)
			return NO_GROUP;
		placed->groups = more;
	}
	placed->groups[count] = (struct place_group){.placement = *placement};
	placed->group_count++;
	return count;
}

/* Best first; among the same, the one with most hosts. */
static int by_verdict(const void *a, const void *b)
{
	const struct place_group *x = a, *y = b;

	if (x->placement.verdict != y->placement.verdict)
		return x->placement.verdict < y->placement.verdict ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return memcmp(&x->placement, &y->placement, sizeof(x->placement));
}

static bool sort_groups(struct placed *placed)
{
	size_t count = placed->group_count;
	struct place_group *before = calloc(count + 1, sizeof(*before));
	size_t *moved = calloc(count + 1, sizeof(*moved));
	bool has_memory = before && moved;

	if (has_memory) {
		memcpy(before, placed->groups, count * sizeof(*before));
		qsort(placed->groups, count, sizeof(*placed->groups), by_verdict);
		for (size_t i = 0; i < count; i++)
			for (size_t j = 0; j < count; j++)
				if (by_verdict(&before[i], &placed->groups[j]) == 0)
					moved[i] = j;
		for (size_t i = 0; i < placed->hosts->count; i++)
			placed->group_of[i] = moved[placed->group_of[i]];
	}
	free(before);
	free(moved);
	return has_memory;
}

static bool judge_all(struct placed *placed, struct nm_placer *placer)
{
	const struct place_hosts *hosts = placed->hosts;

	for (size_t i = 0; i < hosts->count; i++) {
		const struct place_host *host = &hosts->hosts[i];
		struct nm_placement placement;
		size_t group;

		/* One that is the same comes before. */
		if (host->same_as == i) {
			nm_place(placer, &host->view, &placement);
			group = group_for(placed, &placement);
			if (group == NO_GROUP)
				return false;
		} else {
			group = placed->group_of[host->same_as];
		}
		placed->group_of[i] = group;
		placed->groups[group].count++;
	}
	return sort_groups(placed);
}

enum nestmig_error placed_new(const char *file, const struct nestmig_state *state,
			      const struct place_hosts *hosts, struct placed *ret_placed)
{
	struct placed placed = {.file = file, .state = state, .hosts = hosts};
	struct nm_placer *placer = NULL;
	bool has_memory;

	placed.group_of = calloc(hosts->count + 1, sizeof(*placed.group_of));
	has_memory =
		placed.group_of && !nm_placer_new(state, &placer) && judge_all(&placed, placer);
	nm_placer_free(placer);
	if (!has_memory) {
		placed_free(&placed);
		return NESTMIG_ERR_NOMEM;
	}
	*ret_placed = placed;
	return NESTMIG_OK;
}

void placed_free(struct placed *placed)
{
	free(placed->groups);
	free(placed->group_of);
	*placed = (struct placed){0};
}

size_t placed_count(const struct placed *placed, enum nestmig_verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < placed->group_count; i++)
		if (placed->groups[i].placement.verdict == (uint32_t)verdict)
			count += placed->groups[i].count;
	return count;
}

/* ---- Reasons -------------------------------------------------------------------------------- */

static void put_missing(struct nm_buf *buf, const struct nm_placement *placement)
{
	const char *separator = " ";

	nm_buf_printf(buf, "%llu %s", (unsigned long long)placement->undecided,
		      placement->undecided == 1 ? "rule needs" : "rules need");
	if (!placement->missing)
		nm_buf_puts(buf, " more than the inputs that are there say");
	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++) {
		if (!(placement->missing >> i & 1))
			continue;
		nm_buf_printf(buf, "%s%s", separator, nm_item_name(i));
		separator = ", ";
	}
}

enum nestmig_error place_reason(const struct nestmig_state *state,
				const struct nm_placement *placement, char **ret_text)
{
	struct nm_buf buf = {0};

	nm_buf_puts(&buf, "");
	if (placement->vcpu == UINT32_MAX)
		nm_buf_puts(&buf, "there is no vCPU in the file");
	else if (placement->verdict != NESTMIG_VERDICT_OK)
		nm_buf_printf(&buf, "vCPU %u: ", placement->vcpu);
	if (placement->rule != UINT32_MAX)
		nm_buf_printf(&buf, "%s does not hold: %s", nm_rules[placement->rule].id,
			      nm_rules[placement->rule].title);
	else if (placement->undecided)
		put_missing(&buf, placement);
	else if (placement->verdict == NESTMIG_VERDICT_UNKNOWN && state->ram.unread)
		nm_buf_puts(&buf, "QEMU may find other devices in the stream, see `nestmig "
				  "validate`");
	return nm_buf_take(&buf, ret_text);
}

enum nestmig_error place_outcome(const struct nm_placement *placement, char **ret_text)
{
	const struct nm_consequence_row *row = &nm_consequences[placement->outcome];
	struct nm_buf buf = {0};

	nm_buf_puts(&buf, placement->vcpu == UINT32_MAX ? "" : row->outcome);
	if (placement->vcpu != UINT32_MAX)
		nm_put_ioctl(&buf, row);
	return nm_buf_take(&buf, ret_text);
}

/* ---- Table ---------------------------------------------------------------------------------- */

static enum nestmig_error names_of(const struct placed *placed, size_t group, char **ret_text)
{
	const struct place_hosts *hosts = placed->hosts;
	size_t shown = 0, count = placed->groups[group].count;
	struct nm_buf buf = {0};

	for (size_t i = 0; i < hosts->count && shown < NAMES_SHOWN; i++) {
		if (placed->group_of[i] != group)
			continue;
		nm_buf_printf(&buf, "%s%s", shown ? ", " : "", hosts->hosts[i].name);
		shown++;
	}
	if (count > shown)
		nm_buf_printf(&buf, " and %zu more", count - shown);
	return nm_buf_take(&buf, ret_text);
}

/* The text becomes the table's. */
static bool set_text(struct libscols_line *line, size_t column, enum nestmig_error error,
		     char **text)
{
	if (error)
		return false;
	if (scols_line_refer_data(line, column, *text) == 0)
		return true;
	free(*text);
	return false;
}

static bool add_line(struct libscols_table *table, const struct placed *placed, size_t group)
{
	const struct nm_placement *placement = &placed->groups[group].placement;
	const char *verdict = nestmig_verdict_name((enum nestmig_verdict)placement->verdict);
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char *text = NULL;

	return line && set_text(line, 0, names_of(placed, group, &text), &text) &&
	       !scols_line_set_data(line, 1, verdict) &&
	       set_text(line, 2, place_outcome(placement, &text), &text) &&
	       set_text(line, 3, place_reason(placed->state, placement, &text), &text);
}

static bool fill_table(struct libscols_table *table, const struct placed *placed, bool colour)
{
	static const char *const columns[] = {"HOSTS", "VERDICT", "OUTCOME", "REASON"};
	static const char *const colours[] = {[NESTMIG_VERDICT_OK] = "green",
					      [NESTMIG_VERDICT_UNKNOWN] = "yellow",
					      [NESTMIG_VERDICT_FAIL] = "red"};

	if (scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER) ||
	    scols_table_enable_colors(table, colour))
		return false;
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (!scols_table_new_column(table, columns[i], 0, 0))
			return false;
	for (size_t i = 0; i < placed->group_count; i++) {
		struct libscols_cell *cell;

		if (!add_line(table, placed, i))
			return false;
		cell = scols_line_get_cell(scols_table_get_line(table, i), 1);
		if (scols_cell_set_color(cell, colours[placed->groups[i].placement.verdict]))
			return false;
	}
	return true;
}

enum nestmig_error placed_text(const struct placed *placed, bool colour, char **ret_text)
{
	size_t well = placed_count(placed, NESTMIG_VERDICT_OK);
	size_t open = placed_count(placed, NESTMIG_VERDICT_UNKNOWN);
	struct libscols_table *table = scols_new_table();
	struct nm_buf buf = {0};
	char *lines = NULL;

	if (table && fill_table(table, placed, colour))
		scols_print_table_to_string(table, &lines);
	scols_unref_table(table);
	if (!lines)
		return NESTMIG_ERR_NOMEM;
	nm_put_foreign(&buf, placed->file);
	nm_buf_printf(&buf, ": resumes on %zu of %zu hosts", well, placed->hosts->count);
	if (open)
		nm_buf_printf(&buf, ", perhaps on %zu more", open);
	nm_buf_printf(&buf, "\n%s\n", lines);
	free(lines);
	return nm_buf_take(&buf, ret_text);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *names_json(const struct placed *placed, size_t group)
{
	const struct place_hosts *hosts = placed->hosts;
	json_t *names = json_array();

	for (size_t i = 0; i < hosts->count; i++)
		if (placed->group_of[i] == group &&
		    json_array_append(names, hosts->hosts[i].json_name)) {
			json_decref(names);
			return NULL;
		}
	return names;
}

/* What only some have. */
static bool add_reason(json_t *json, const struct placed *placed,
		       const struct nm_placement *placement)
{
	char *text = NULL;
	bool ok;

	if (placement->verdict == NESTMIG_VERDICT_OK)
		return true;
	if (place_reason(placed->state, placement, &text))
		return false;
	ok = !json_object_set_new(json, "reason", json_string(text));
	free(text);
	if (ok && placement->vcpu != UINT32_MAX)
		ok = !json_object_set_new(json, "vcpu", json_integer(placement->vcpu));
	if (ok && placement->rule != UINT32_MAX)
		ok = !json_object_set_new(json, "rule", json_string(nm_rules[placement->rule].id));
	if (ok && placement->undecided)
		ok = !json_object_set_new(json, "missing", nm_json_items(placement->missing));
	return ok;
}

static json_t *group_json(const struct placed *placed, size_t group)
{
	const struct nm_placement *placement = &placed->groups[group].placement;
	json_t *json = json_pack("{s:s}", "verdict",
				 nestmig_verdict_name((enum nestmig_verdict)placement->verdict));

	if (!json ||
	    (placement->vcpu != UINT32_MAX &&
	     !nm_json_consequence(json, &nm_consequences[placement->outcome])) ||
	    !add_reason(json, placed, placement) ||
	    json_object_set_new(json, "hosts", names_json(placed, group))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

enum nestmig_error placed_json(const struct placed *placed, char **ret_text)
{
	json_t *json, *groups = json_array();
	enum nestmig_verdict best = NESTMIG_VERDICT_FAIL;

	for (size_t i = 0; i < placed->group_count; i++)
		if (json_array_append_new(groups, group_json(placed, i))) {
			json_decref(groups);
			return NESTMIG_ERR_NOMEM;
		}
	if (placed->group_count)
		best = (enum nestmig_verdict)placed->groups[0].placement.verdict;
	json = json_pack(
		"{s:s, s:o, s:s, s:s?, s:s, s:I, s:o}", "schema", "nestmig.place/1", "file",
		nm_json_text(placed->file), "format", nestmig_state_format(placed->state), "vendor",
		nm_vendor_name(placed->state->vendor), "verdict", nestmig_verdict_name(best),
		"hosts", (json_int_t)placed->hosts->count, "placements", groups);
	return nm_json_line(json, ret_text);
}
