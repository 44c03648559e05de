// SPDX-License-Identifier: LGPL-2.1-or-later
/* The report as one HTML page: no script, nothing from outside, and no date, so that the same input makes
 * the same page. */
#include "report_html.h"

#include <stdlib.h>
#include <string.h>

#include "report_css.h"

/* A page for a phone: of a VM with more vCPUs than this the worst are shown in full. */
#define DETAILS_MAX 64
#define MAPS_MAX    16

/* ---- Head ------------------------------------------------------------------------------------ */

/* What nothing may load: the page brings its style, which alone is allowed, and has no script. */
#define POLICY                                                                                     \
	"default-src 'none'; style-src '" REPORT_CSS_HASH "'; base-uri 'none'; form-action 'none'"

static void put_badge(struct nm_html *h, const char *class, enum nestmig_verdict verdict)
{
	enum nm_mark mark = nm_verdict_mark(verdict);

	nm_buf_printf(&h->buf, "<span class=\"%s %s\">%s %s</span>", class, nm_mark_class(mark),
		      nm_mark_sign(mark), nestmig_verdict_name(verdict));
}

/* The first vCPU with the verdict of the file, NULL if there is none. */
static const struct nm_vcpu_report *worst_vcpu(const struct nestmig_report *report)
{
	for (size_t i = 0; i < report->vcpu_count; i++)
		if (report->vcpus[i].verdict == report->verdict)
			return &report->vcpus[i];
	return NULL;
}

/* What becomes of the guest, in a sentence or two. */
static void put_outcome(struct nm_html *h, const struct nestmig_report *report)
{
	const struct nm_vcpu_report *worst = worst_vcpu(report);
	size_t same = 0;

	for (size_t i = 0; i < report->vcpu_count; i++)
		same += report->vcpus[i].verdict == report->verdict;
	if (!worst) {
		nm_buf_puts(&h->buf, "The file has no vCPU: nothing was judged.");
		return;
	}
	if (report->verdict == NESTMIG_VERDICT_OK) {
		nm_buf_puts(&h->buf, "Every vCPU resumes: every rule on which that "
				     "depends was judged, and holds.");
		return;
	}
	if (report->verdict == NESTMIG_VERDICT_UNKNOWN && report->unknown) {
		nm_buf_puts(&h->buf, "QEMU may find other vCPUs in the stream than these: whether "
				     "the VM resumes is not known.");
		return;
	}
	if (report->verdict == NESTMIG_VERDICT_UNKNOWN) {
		nm_buf_printf(&h->buf,
			      "No rule is known to be broken, but %zu could not be judged on "
			      "vCPU %u: whether it resumes is not known.",
			      worst->undecided_count, worst->id);
		return;
	}
	nm_buf_printf(&h->buf, "vCPU %u: ", worst->id);
	nm_html_text(h, nm_consequences[worst->outcome].text);
	if (!worst->is_certain)
		nm_buf_puts(&h->buf, " A rule that could not be judged may end it otherwise.");
	if (same > 1)
		nm_buf_printf(&h->buf, " %zu of %zu vCPUs fail.", same, report->vcpu_count);
}

static void put_fact(struct nm_html *h, const char *term, const char *text)
{
	nm_buf_printf(&h->buf, "<div><dt>%s<dd>", term);
	nm_html_foreign(h, text);
	nm_buf_puts(&h->buf, "</div>\n");
}

static void put_file(struct nm_html *h, const struct nm_html_file *file)
{
	const struct nestmig_report *report = file->report;
	const char *vendor = nm_vendor_name(report->vendor);
	const char *unknown_host = report->has_host ? "a host of unknown kernel"
						    : "no host: rules that need one are unknown";

	nm_buf_printf(&h->buf, "<header class=%s>\n",
		      nm_mark_class(nm_verdict_mark(report->verdict)));
	if (h->file_count > 1)
		nm_buf_printf(&h->buf, "<p class=ab>%s\n", file == &h->files[0] ? "A" : "B");
	nm_buf_puts(&h->buf, "<h1>");
	nm_html_foreign(h, file->name);
	nm_buf_puts(&h->buf, "</h1>\n<p class=vd>");
	put_badge(h, "big", report->verdict);
	nm_buf_puts(&h->buf, "<p class=oc>");
	put_outcome(h, report);
	nm_buf_puts(&h->buf, "\n<dl class=fx>\n");
	put_fact(h, "Format", report->format);
	put_fact(h, "Vendor", vendor ? vendor : "not known");
	put_fact(h, "Judged for", report->host_kernel ? report->host_kernel : unknown_host);
	if (file->state->machine)
		put_fact(h, "Machine", file->state->machine);
	if (report->remark)
		put_fact(h, "Note", report->remark);
	nm_buf_printf(&h->buf, "<div><dt>vCPUs<dd>%zu</div>\n</dl>\n</header>\n",
		      report->vcpu_count);
}

/* ---- vCPUs ----------------------------------------------------------------------------------- */

static void put_outcome_word(struct nm_html *h, const struct nm_vcpu_report *report)
{
	const struct nm_consequence_row *row = &nm_consequences[report->outcome];

	nm_buf_printf(&h->buf, "<code>%s</code>", row->outcome);
	nm_put_ioctl(&h->buf, row);
	if (!report->is_certain)
		nm_buf_puts(&h->buf, " <small>if nothing unknown is broken</small>");
}

static void put_glance(struct nm_html *h, const struct nm_html_vcpu *v)
{
	const struct nm_vcpu_report *report = v->report;
	const char *class = nm_mark_class(nm_verdict_mark(report->verdict));

	nm_buf_printf(&h->buf, "<a class=\"gl %s\"", class);
	if (v->has_details)
		nm_buf_printf(&h->buf, " href=\"#%s%zu\"", v->file, v->index);
	nm_buf_printf(&h->buf, "><b>vCPU %u</b> <span class=md>%s</span> ", report->id,
		      report->mode);
	put_badge(h, "bd", report->verdict);
	nm_buf_puts(&h->buf, "<span class=ow>");
	put_outcome_word(h, report);
	nm_buf_printf(&h->buf, "</span><span class=ct>%zu finding%s, %zu unknown</span>\n",
		      report->finding_count, report->finding_count == 1 ? "" : "s",
		      report->undecided_count);
	if (v->has_map)
		nm_html_strip(h, v);
	nm_buf_puts(&h->buf, "</a>\n");
}

static void put_glances(struct nm_html *h, const struct nm_html_file *file)
{
	nm_buf_puts(&h->buf, "<nav class=gs>\n");
	for (size_t i = 0; i < file->report->vcpu_count; i++)
		put_glance(h, &file->vcpus[i]);
	nm_buf_puts(&h->buf, "</nav>\n");
}

static void put_vcpu(struct nm_html *h, const struct nm_html_vcpu *v)
{
	nm_buf_printf(&h->buf, "<section class=v id=%s%zu>\n<h2>", v->file, v->index);
	if (h->file_count > 1)
		nm_buf_printf(&h->buf, "<span class=ab>%s</span> ", *v->file == 'a' ? "A" : "B");
	nm_buf_printf(&h->buf, "vCPU %u <span class=md>%s</span> ", v->report->id, v->report->mode);
	put_badge(h, "bd", v->report->verdict);
	nm_buf_puts(&h->buf, "</h2>\n<p>Outcome: ");
	put_outcome_word(h, v->report);
	nm_buf_puts(&h->buf, "\n");
	if (v->report->is_not_nested)
		nm_buf_puts(&h->buf, "<p>The vCPU has no nested state: its registers and events "
				     "are judged.\n");
	nm_html_findings(h, v);
	nm_html_unknowns(h, v);
	if (v->has_map)
		nm_html_map(h, v);
	nm_buf_puts(&h->buf, "</section>\n");
}

static void put_vcpus(struct nm_html *h, const struct nm_html_file *file)
{
	size_t left_out = 0, without_map = 0;

	for (size_t i = 0; i < file->report->vcpu_count; i++) {
		left_out += !file->vcpus[i].has_details;
		without_map += !file->vcpus[i].has_map;
		if (file->vcpus[i].has_details)
			put_vcpu(h, &file->vcpus[i]);
	}
	if (without_map)
		nm_buf_printf(&h->buf,
			      "<p class=ex>So that the page stays small, %zu vCPUs are shown "
			      "without a map and %zu only at a glance. `nestmig validate` has all "
			      "of them.\n",
			      without_map, left_out);
}

/* ---- The rules that the maps name ------------------------------------------------------------ */

static bool is_named(const struct nm_html *h, unsigned rule)
{
	for (size_t f = 0; f < h->file_count; f++)
		for (size_t i = 0; i < h->files[f].report->vcpu_count; i++)
			if (h->files[f].vcpus[i].has_map &&
			    h->files[f].vcpus[i].marks[rule] == NM_MARK_HOLDS)
				return true;
	return false;
}

static void put_rules(struct nm_html *h)
{
	nm_buf_puts(&h->buf, "<section>\n<h2>Rules that hold</h2>\n<details class=rs><summary>What "
			     "they ask, and where that is written down</summary>\n<dl>\n");
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		if (!is_named(h, i))
			continue;
		nm_buf_printf(&h->buf, "<dt id=\"r-%s\"><code>%s</code><dd>", nm_rules[i].id,
			      nm_rules[i].id);
		nm_html_text(h, nm_rules[i].title);
		nm_buf_puts(&h->buf, ". <small>");
		nm_html_text(h, nm_rules[i].reference);
		nm_buf_puts(&h->buf, "</small>\n");
	}
	nm_buf_puts(&h->buf, "</dl></details>\n</section>\n");
}

/* ---- The page -------------------------------------------------------------------------------- */

static void put_page(struct nm_html *h)
{
	nm_buf_puts(&h->buf,
		    "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n"
		    "<meta http-equiv=Content-Security-Policy content=\"" POLICY "\">\n"
		    "<meta name=referrer content=no-referrer>\n"
		    "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=color-scheme content=\"light dark\">\n<title>");
	for (size_t f = 0; f < h->file_count; f++) {
		nm_buf_printf(&h->buf, "%s%s: ", f ? " / " : "",
			      nestmig_verdict_name(h->files[f].report->verdict));
		nm_html_clean(h, h->files[f].name);
	}
	/* The hash is of all that stands inside. */
	nm_buf_puts(&h->buf, "</title>\n<style>");
	nm_buf_puts(&h->buf, report_css);
	nm_buf_puts(&h->buf, "</style>\n<body>\n<main>\n<div class=hs>\n");
	for (size_t f = 0; f < h->file_count; f++)
		put_file(h, &h->files[f]);
	nm_buf_puts(&h->buf, "</div>\n");
	for (size_t f = 0; f < h->file_count; f++)
		put_glances(h, &h->files[f]);
	if (h->file_count > 1)
		nm_html_diff(h);
	for (size_t f = 0; f < h->file_count; f++)
		put_vcpus(h, &h->files[f]);
	put_rules(h);
	nm_buf_printf(&h->buf, "<footer>nestmig %s</footer>\n</main>\n</body>\n</html>\n",
		      nestmig_version());
}

/* ---- What the page is made from -------------------------------------------------------------- */

static void set_marks(struct nm_html_vcpu *v)
{
	const struct nm_vcpu_report *report = v->report;

	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		v->marks[i] = nm_rule_bit(report->held, i) ? NM_MARK_HOLDS : NM_MARK_NONE;
	for (size_t i = 0; i < report->undecided_count; i++)
		v->marks[report->undecided[i].rule - nm_rules] = NM_MARK_UNKNOWN;
	for (size_t i = 0; i < report->finding_count; i++)
		v->marks[report->findings[i].rule - nm_rules] =
			nm_finding_mark(&report->findings[i]);
}

/* The worst vCPUs get a section, and of those the worst a map. */
static void choose(struct nm_html_file *file)
{
	size_t details = 0, maps = 0;

	for (int verdict = NESTMIG_VERDICT_FAIL; verdict >= NESTMIG_VERDICT_OK; verdict--)
		for (size_t i = 0; i < file->report->vcpu_count; i++) {
			struct nm_html_vcpu *v = &file->vcpus[i];

			if ((int)v->report->verdict != verdict)
				continue;
			v->has_details = details++ < DETAILS_MAX;
			v->has_map = maps++ < MAPS_MAX;
		}
}

static enum nestmig_error open_file(struct nm_html_file *file, const struct nestmig_html_file *from,
				    const char *letter)
{
	size_t count = from->report->vcpu_count;

	*file = (struct nm_html_file){from->name, from->state, from->report,
				      calloc(count + 1, sizeof(*file->vcpus))};
	if (!file->vcpus)
		return NESTMIG_ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		file->vcpus[i] = (struct nm_html_vcpu){.vcpu = &from->state->vcpus[i],
						       .report = &from->report->vcpus[i],
						       .file = letter,
						       .index = i,
						       .byte = nm_byte_word(from->report)};
		set_marks(&file->vcpus[i]);
	}
	choose(file);
	return NESTMIG_OK;
}

enum nestmig_error nestmig_report_html(const struct nestmig_html_file *files, size_t count,
				       char **ret_text)
{
	static const char *const letters[] = {"a", "b"};
	struct nm_html h = {.file_count = count};
	enum nestmig_error error = NESTMIG_OK;

	if (count < 1 || count > sizeof(h.files) / sizeof(h.files[0]))
		return NESTMIG_ERR_INVALID;
	for (size_t f = 0; f < count; f++)
		if (files[f].report->vcpu_count != files[f].state->vcpu_count)
			return NESTMIG_ERR_INVALID;
	error = nm_readers_new(&h.readers);
	for (size_t f = 0; !error && f < count; f++)
		error = open_file(&h.files[f], &files[f], letters[f]);
	if (!error) {
		put_page(&h);
		error = nm_buf_take(&h.buf, ret_text);
	}
	nm_readers_free(&h.readers);
	for (size_t f = 0; f < count; f++)
		free(h.files[f].vcpus);
	return error;
}
