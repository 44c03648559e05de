// SPDX-License-Identifier: LGPL-2.1-or-later
/* The list of rules, and the explanation of one, as text and JSON. */
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "error.h"
#include "report_internal.h"

/* What a rule leads to, in one row: where it is nothing on older kernels, on newer ones. */
static const struct nm_consequence_row *main_consequence(const struct nm_rule *rule)
{
	if (rule->before == NM_CONSEQUENCE_NONE)
		return &nm_consequences[rule->after];
	return &nm_consequences[rule->before];
}

/* ---- Table ----------------------------------------------------------------------------------- */

static bool add_line(struct libscols_table *table, const struct nm_rule *rule)
{
	const struct nm_consequence_row *row = main_consequence(rule);
	struct libscols_line *line = scols_table_new_line(table, NULL);

	return line && !scols_line_set_data(line, 0, rule->id) &&
	       !scols_line_set_data(line, 1, nm_severity_name(rule->severity)) &&
	       !scols_line_set_data(line, 2, nm_stage_name(row->stage)) &&
	       !scols_line_set_data(line, 3, row->outcome) &&
	       !scols_line_set_data(line, 4, rule->title);
}

static bool fill_table(struct libscols_table *table)
{
	static const char *const columns[] = {"RULE", "SEVERITY", "STAGE", "OUTCOME",
					      "WHAT MUST HOLD"};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (!scols_table_new_column(table, columns[i], 0, 0))
			return false;
	for (size_t i = 0; i < nm_rule_count; i++)
		if (!add_line(table, &nm_rules[i]))
			return false;
	return true;
}

enum nestmig_error nestmig_rules_text(char **ret_text)
{
	struct libscols_table *table = scols_new_table();
	char *text = NULL;

	if (table && fill_table(table) && !scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER))
		scols_print_table_to_string(table, &text);
	scols_unref_table(table);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	*ret_text = text;
	return NESTMIG_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *consequence_json(const struct nm_consequence_row *row)
{
	json_t *json = json_pack("{s:s}", "stage", nm_stage_name(row->stage));

	if (json && (!nm_json_consequence(json, row) ||
		     json_object_set_new(json, "text", json_string(row->text)))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* Where kernels differ: from which on, and what follows before and after. */
static bool add_change(json_t *json, const struct nm_rule *rule)
{
	char kernel[NM_KERNEL_TEXT];

	if (!rule->changed)
		return true;
	nm_kernel_text(rule->changed, kernel);
	return !json_object_set_new(json, "changed", json_string(kernel)) &&
	       !json_object_set_new(json, "before",
				    consequence_json(&nm_consequences[rule->before])) &&
	       !json_object_set_new(json, "after", consequence_json(&nm_consequences[rule->after]));
}

static json_t *rule_json(const struct nm_rule *rule, const char *schema)
{
	const struct nm_consequence_row *row = main_consequence(rule);
	json_t *json =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "schema", schema, "id", rule->id,
			  "title", rule->title, "group", rule->group, "severity",
			  nm_severity_name(rule->severity), "stage", nm_stage_name(row->stage));

	if (!json || !nm_json_consequence(json, row) ||
	    json_object_set_new(json, "inputs", nm_json_items(nm_rule_inputs(rule))) ||
	    json_object_set_new(json, "may_read", nm_json_items(rule->may_read)) ||
	    json_object_set_new(json, "reference", json_string(rule->reference)) ||
	    !add_change(json, rule)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

enum nestmig_error nestmig_rules_json(char **ret_text)
{
	struct nm_buf buf = {0};

	for (size_t i = 0; i < nm_rule_count; i++) {
		char *line;

		if (nm_json_line(rule_json(&nm_rules[i], "nestmig.rule/1"), &line)) {
			free(buf.text);
			return NESTMIG_ERR_NOMEM;
		}
		nm_buf_puts(&buf, line);
		free(line);
	}
	return nm_buf_take(&buf, ret_text);
}

/* ---- Explaining one -------------------------------------------------------------------------- */

static json_t *words_json(const char *text)
{
	json_t *array = json_array();

	while (*text) {
		size_t length = strcspn(text, " ");

		json_array_append_new(array, json_stringn(text, length));
		text += length;
		text += strspn(text, " ");
	}
	return array;
}

/* Which vCPUs a rule is about. */
static const char *when_text(enum nm_when when)
{
	static const char *const texts[NM_WHENS] = {
		[NM_WHEN_ALWAYS] = "every vCPU",
		[NM_WHEN_NESTED] = "a vCPU with nested state, of either vendor",
		[NM_WHEN_SVM] = "an AMD vCPU, whether L2 runs or not",
		[NM_WHEN_L2] = "an AMD vCPU that runs L2 (GUEST_MODE)",
		[NM_WHEN_L1] = "an AMD vCPU that runs L1 (no GUEST_MODE)",
		[NM_WHEN_VMX] = "an Intel vCPU, whether L2 runs or not",
		[NM_WHEN_VMX_L2] = "an Intel vCPU that runs L2 (GUEST_MODE)",
		[NM_WHEN_VMX_L1] =
			"an Intel vCPU that runs L1 (no GUEST_MODE) with a current VMCS12",
		[NM_WHEN_VMCS12] = "an Intel vCPU that runs L2, or L1 with a current VMCS12",
		[NM_WHEN_SMM] = "a vCPU in SMM, of either vendor",
	};

	return texts[when];
}

static const char *severity_text(enum nm_severity severity)
{
	switch (severity) {
	case NM_SEVERITY_ERROR:
		return "An error: the verdict of the vCPU is \"fail\".";
	case NM_SEVERITY_WARNING:
		return "A warning: it does not fail the vCPU, but the vCPU may not go on as it "
		       "was.";
	case NM_SEVERITY_NOTE:
		break;
	}
	return "A note: worth knowing, it does not change the verdict.";
}

static json_t *explain_json(const struct nm_rule *rule)
{
	json_t *json = rule_json(rule, "nestmig.explain/1");

	if (json &&
	    (json_object_set_new(json, "judged", json_true()) ||
	     json_object_set_new(json, "when", json_string(when_text(rule->when))) ||
	     json_object_set_new(json, "fields", words_json(rule->fields)) ||
	     json_object_set_new(json, "consequence", json_string(main_consequence(rule)->text)) ||
	     json_object_set_new(json, "cause", json_string(rule->cause)) ||
	     json_object_set_new(json, "remedy", json_string(rule->remedy)))) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static void put_paragraph(struct nm_buf *buf, const char *heading, const char *text)
{
	enum { WIDTH = 78, INDENT = 2 };
	size_t column = WIDTH + 1;

	nm_buf_printf(buf, "\n%s\n", heading);
	while (*text) {
		size_t length = strcspn(text, " ");

		if (column + 1 + length > WIDTH) {
			nm_buf_puts(buf, column > WIDTH ? "  " : "\n  ");
			column = INDENT;
		} else {
			nm_buf_puts(buf, " ");
			column++;
		}
		nm_buf_printf(buf, "%.*s", (int)length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	nm_buf_puts(buf, "\n");
}

/* A text that comes without a full stop. */
static void put_sentence(struct nm_buf *buf, const char *heading, const char *start,
			 const char *text)
{
	struct nm_buf sentence = {0};
	char *line;

	nm_buf_printf(&sentence, "%s%s.", start, text);
	if (nm_buf_take(&sentence, &line)) {
		buf->failed = true;
		return;
	}
	put_paragraph(buf, heading, line);
	free(line);
}

static void put_consequence(struct nm_buf *buf, const char *heading, enum nm_consequence which)
{
	const struct nm_consequence_row *row = &nm_consequences[which];
	struct nm_buf text = {0};
	char *line;

	nm_buf_puts(&text, row->text);
	if (which != NM_CONSEQUENCE_NONE)
		nm_buf_printf(&text, " (outcome %s, stage %s)", row->outcome,
			      nm_stage_name(row->stage));
	if (nm_buf_take(&text, &line)) {
		buf->failed = true;
		return;
	}
	put_paragraph(buf, heading, line);
	free(line);
}

static void put_consequences(struct nm_buf *buf, const struct nm_rule *rule)
{
	char kernel[NM_KERNEL_TEXT], heading[64];

	if (!rule->changed) {
		put_consequence(buf, "What happens if it does not", rule->before);
		if (rule->when == NM_WHEN_VMCS12)
			put_consequence(buf, "While L1 runs (then it is no error)",
					nm_at_next_entry(rule->before, 0));
		return;
	}
	nm_kernel_text(rule->changed, kernel);
	snprintf(heading, sizeof(heading), "What happens if it does not, before Linux %s", kernel);
	put_consequence(buf, heading, rule->before);
	snprintf(heading, sizeof(heading), "What happens if it does not, from Linux %s on", kernel);
	put_consequence(buf, heading, rule->after);
}

static void put_inputs(struct nm_buf *buf, const char *text, uint64_t items)
{
	const char *separator = " ";

	if (!items)
		return;
	nm_buf_printf(buf, "  %s", text);
	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++) {
		if (!(items >> i & 1))
			continue;
		nm_buf_printf(buf, "%s%s", separator, nm_item_name(i));
		separator = ", ";
	}
	nm_buf_puts(buf, "\n");
}

static enum nestmig_error explain_text(const struct nm_rule *rule, char **ret_text)
{
	struct nm_buf buf = {0};

	nm_buf_printf(&buf, "%s  (%s, %s)\n", rule->id, nm_severity_name(rule->severity),
		      rule->group);
	put_sentence(&buf, "What must hold", "", rule->title);
	put_sentence(&buf, "Where it applies", "To ", when_text(rule->when));
	put_sentence(&buf, "Why", "", rule->reference);
	put_consequences(&buf, rule);
	put_paragraph(&buf, "How bad that is", severity_text(rule->severity));
	put_paragraph(&buf, "How it comes about", rule->cause);
	put_paragraph(&buf, "What to do", rule->remedy);
	nm_buf_puts(&buf, "\nWhat it reads\n");
	put_inputs(&buf, "always:", nm_rule_inputs(rule));
	put_inputs(&buf, "if that does not decide:", rule->may_read);
	nm_buf_printf(&buf, "  fields: %s\n", rule->fields);
	return nm_buf_take(&buf, ret_text);
}

/* Fewer leading characters in common say nothing: "svm-" is in most ids. */
#define NEAR_ENOUGH 6

/* The rule whose id has the most leading characters in common with a wrong one, or NULL. */
static const struct nm_rule *nearest(const char *id)
{
	const struct nm_rule *best = NULL;
	size_t best_length = NEAR_ENOUGH - 1;

	for (size_t i = 0; i < nm_rule_count; i++) {
		size_t length = 0;

		while (id[length] && id[length] == nm_rules[i].id[length])
			length++;
		if (length > best_length) {
			best = &nm_rules[i];
			best_length = length;
		}
	}
	return best;
}

static enum nestmig_error not_found(const char *id, struct nestmig_detail *detail)
{
	const struct nm_rule *near = nearest(id);

	return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
		       "there is no rule \"%.100s\"%s%s: `nestmig rules` lists them", id,
		       near ? "; perhaps " : "", near ? near->id : "");
}

/* ---- Conditions that are not judged ---------------------------------------------------------- */

static const struct nm_not_judged *find_not_judged(const char *id)
{
	for (size_t i = 0; i < nm_not_judged_count; i++)
		if (!strcmp(id, nm_not_judged[i].id))
			return &nm_not_judged[i];
	return NULL;
}

static json_t *not_judged_json(const struct nm_not_judged *row)
{
	return json_pack("{s:s, s:s, s:b, s:s}", "schema", "nestmig.explain/1", "id", row->id,
			 "judged", 0, "reason", row->reason);
}

static enum nestmig_error not_judged_text(const struct nm_not_judged *row, char **ret_text)
{
	struct nm_buf buf = {0};

	nm_buf_printf(&buf, "%s  (not judged)\n", row->id);
	put_sentence(&buf, "Why no rule judges it", "Not judged: ", row->reason);
	put_paragraph(
		&buf, "What that means",
		"The condition is known, but nestmig never reports it: neither as held nor as "
		"broken. nestmig-rules(7) lists all of these.");
	return nm_buf_take(&buf, ret_text);
}

enum nestmig_error nestmig_explain(const char *id, bool json, char **ret_text,
				   struct nestmig_detail *detail)
{
	const struct nm_not_judged *row = find_not_judged(id);
	const struct nm_rule *rule = nm_rule_find(id);

	if (rule)
		return json ? nm_json_line(explain_json(rule), ret_text)
			    : explain_text(rule, ret_text);
	if (row)
		return json ? nm_json_line(not_judged_json(row), ret_text)
			    : not_judged_text(row, ret_text);
	return not_found(id, detail);
}
