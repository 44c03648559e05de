// SPDX-License-Identifier: LGPL-2.1-or-later
/* Findings and unknowns of a vCPU on the HTML page. */
#include "report_html.h"

/* ---- Findings -------------------------------------------------------------------------------- */

static void put_field(struct nm_html *h, const struct nm_html_vcpu *v,
		      const struct nm_shown_field *field)
{
	nm_buf_puts(&h->buf, "<tr><th scope=row>");
	if (v->has_map && field->known) {
		nm_buf_puts(&h->buf, "<a href=\"#");
		nm_html_id(h, v);
		nm_html_text(h, field->name);
		nm_buf_puts(&h->buf, "\">");
	}
	nm_html_text(h, field->name);
	nm_buf_puts(&h->buf, v->has_map && field->known ? "</a><td>" : "<td>");
	if (!field->known) {
		nm_buf_puts(&h->buf, "<i>is not in the file</i>\n");
		return;
	}
	nm_html_value(h, field->name, field->value, field->width);
	if (field->offset != UINT64_MAX) {
		nm_buf_puts(&h->buf, "<br><small>");
		nm_html_place(h, v, field->file, field->offset);
		nm_buf_puts(&h->buf, "</small>");
	}
	nm_buf_puts(&h->buf, "\n");
}

static void put_row(struct nm_html *h, const char *term, const char *text)
{
	nm_buf_printf(&h->buf, "<dt>%s<dd>", term);
	nm_html_text(h, text);
	nm_buf_puts(&h->buf, "\n");
}

static void put_finding(struct nm_html *h, const struct nm_html_vcpu *v,
			const struct nm_finding *finding)
{
	const struct nm_consequence_row *row = &nm_consequences[finding->consequence];
	const struct nm_rule *rule = finding->rule;
	enum nm_mark mark = nm_finding_mark(finding);

	nm_buf_printf(&h->buf, "<article class=\"f %s\" id=\"", nm_mark_class(mark));
	nm_html_id(h, v);
	nm_buf_printf(&h->buf, "r-%s\">\n<h4><em>%s %s</em> <code>%s</code></h4>\n<p class=t>",
		      rule->id, nm_mark_sign(mark), nm_severity_name(finding->severity), rule->id);
	nm_buf_puts(&h->buf, "Does not hold: <b>");
	nm_html_text(h, rule->title);
	nm_buf_puts(&h->buf, ".</b>");
	if (*finding->detail)
		nm_buf_puts(&h->buf, " ");
	nm_html_foreign(h, finding->detail);
	nm_buf_puts(&h->buf, "\n");
	if (finding->field_count)
		nm_buf_puts(&h->buf, "<table>\n");
	for (size_t i = 0; i < finding->field_count; i++)
		put_field(h, v, &finding->fields[i]);
	nm_buf_puts(&h->buf, finding->field_count ? "</table>\n<dl>\n" : "<dl>\n");
	nm_buf_puts(&h->buf, "<dt>What follows<dd>");
	nm_html_text(h, row->text);
	nm_buf_printf(&h->buf, " <small><code>%s</code>", row->outcome);
	nm_put_ioctl(&h->buf, row);
	nm_buf_puts(&h->buf, "</small>\n");
	put_row(h, "How it comes about", rule->cause);
	put_row(h, "What to do", rule->remedy);
	put_row(h, "Written down in", rule->reference);
	nm_buf_puts(&h->buf, "</dl>\n</article>\n");
}

void nm_html_findings(struct nm_html *h, const struct nm_html_vcpu *v)
{
	nm_buf_printf(&h->buf, "<h3>Findings <small>%zu</small></h3>\n", v->report->finding_count);
	if (!v->report->finding_count)
		nm_buf_puts(&h->buf, "<p>No rule is known to be broken.\n");
	for (size_t i = 0; i < v->report->finding_count; i++)
		put_finding(h, v, &v->report->findings[i]);
}

/* ---- Unknowns -------------------------------------------------------------------------------- */

#define OF_HOST                                                                                    \
	(NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) | NESTMIG_HAVE(HOST_CPUID) |        \
	 NESTMIG_HAVE(HOST_CAPS) | NESTMIG_HAVE(HOST_MSRS))
#define OF_MEMORY                                                                                  \
	(NESTMIG_HAVE(MEMORY) | NESTMIG_HAVE(SMRAM) | NESTMIG_HAVE(SMM_VMCB12) |                   \
	 NESTMIG_HAVE(HSAVE) | NESTMIG_HAVE(EPTP_LIST) | NESTMIG_HAVE(EPT_ROOT) |                  \
	 NESTMIG_HAVE(VTPR) | NESTMIG_HAVE(ENTRY_LOAD) | NESTMIG_HAVE(EXIT_LOAD) |                 \
	 NESTMIG_HAVE(EXIT_STORE) | NESTMIG_HAVE(LINK_HEADER))
#define OF_DUMP                                                                                    \
	(NESTMIG_HAVE(VMX_MSRS) | NESTMIG_HAVE(PDPTRS) | NESTMIG_HAVE(INT_SHADOW) |                \
	 NESTMIG_HAVE(ERROR_CODE) | NESTMIG_HAVE(VM_CAPS))

/* How an operator gives what is missing, as HTML. */
static const struct {
	uint64_t items;
	const char *text;
} ways[] = {
	{OF_HOST, "On the destination run <code>nestmig host --save host.json</code>, then make "
		  "this report with <code>--host host.json</code>."},
	{OF_MEMORY, "Save the guest with its RAM: a whole stream, not one of the device state "
		    "only. Memory that the file does not have stays unknown."},
	{NESTMIG_HAVE(CPUID), "Take the state with <code>nestmig snapshot</code>, or as a raw KVM "
			      "dump with <code>cpuid</code>."},
	{OF_DUMP, "Take the state as a raw KVM dump, nestmig-raw-dump(5): it can say this, a QEMU "
		  "stream and an .nms cannot, or not always."},
	{~(OF_HOST | OF_MEMORY | OF_DUMP | NESTMIG_HAVE(CPUID)),
	 "Take the state again with all that KVM saves of a vCPU."},
};

static void put_missing(struct nm_html *h, uint64_t missing)
{
	nm_buf_puts(&h->buf, "<ul>\n");
	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++) {
		const char *hint = nm_item_hint(i);

		if (!(missing >> i & 1))
			continue;
		nm_buf_printf(&h->buf, "<li><code>%s</code>", nm_item_name(i));
		nm_buf_puts(&h->buf, *hint ? ": " : "");
		nm_html_text(h, hint);
		nm_buf_puts(&h->buf, "\n");
	}
	nm_buf_puts(&h->buf, "</ul>\n");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (missing & ways[i].items)
			nm_buf_printf(&h->buf, "<p class=do>%s\n", ways[i].text);
}

/* So many rules are shown unfolded. */
#define FEW 3

static void put_rules(struct nm_html *h, const struct nm_html_vcpu *v, uint64_t missing,
		      size_t count)
{
	nm_buf_printf(&h->buf, "<details%s><summary>%zu rule%s</summary><ul>\n",
		      count <= FEW ? " open" : "", count, count == 1 ? "" : "s");
	for (size_t i = 0; i < v->report->undecided_count; i++) {
		const struct nm_rule *rule = v->report->undecided[i].rule;

		if (v->report->undecided[i].missing != missing)
			continue;
		nm_buf_printf(&h->buf, "<li id=\"");
		nm_html_id(h, v);
		nm_buf_printf(&h->buf, "r-%s\"><code>%s</code> ", rule->id, rule->id);
		nm_html_text(h, rule->title);
		nm_buf_puts(&h->buf, "\n");
	}
	nm_buf_puts(&h->buf, "</ul></details>\n");
}

/* The undecided rules that lack the same as the one at first, which is the first of its kind. */
static void put_group(struct nm_html *h, const struct nm_html_vcpu *v, size_t first)
{
	uint64_t missing = v->report->undecided[first].missing;
	size_t count = 0;

	for (size_t i = first; i < v->report->undecided_count; i++)
		count += v->report->undecided[i].missing == missing;
	nm_buf_printf(&h->buf, "<article class=\"f u\">\n<h4><em>? unknown</em> %zu rule%s", count,
		      count == 1 ? "" : "s");
	if (missing) {
		nm_buf_printf(&h->buf, " lack%s:</h4>\n", count == 1 ? "s" : "");
		put_missing(h, missing);
	} else {
		nm_buf_puts(&h->buf, "</h4>\n<p>An input that is there does not say enough.\n");
	}
	put_rules(h, v, missing, count);
	nm_buf_puts(&h->buf, "</article>\n");
}

void nm_html_unknowns(struct nm_html *h, const struct nm_html_vcpu *v)
{
	nm_buf_printf(&h->buf, "<h3>Could not be judged <small>%zu</small></h3>\n",
		      v->report->undecided_count);
	if (!v->report->undecided_count)
		nm_buf_puts(&h->buf, "<p>Every rule that applies could be judged.\n");
	for (size_t i = 0; i < v->report->undecided_count; i++)
		if (nm_is_first_of_group(v->report, i))
			put_group(h, v, i);
}
