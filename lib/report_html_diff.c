// SPDX-License-Identifier: LGPL-2.1-or-later
/* What differs between the two files of an HTML page: verdicts, findings, fields. */
#include <string.h>

#include "report_html.h"

/* The vCPU of the other file with the same id, or NULL. */
static const struct nm_html_vcpu *partner(const struct nm_html_file *file, uint32_t id)
{
	for (size_t i = 0; i < file->report->vcpu_count; i++)
		if (file->report->vcpus[i].id == id)
			return &file->vcpus[i];
	return NULL;
}

static bool has_finding(const struct nm_html_vcpu *v, const struct nm_rule *rule)
{
	return v->marks[rule - nm_rules] <= NM_MARK_WARNING;
}

/* Findings of v that other does not have; returns how many. */
static size_t put_only_in(struct nm_html *h, const struct nm_html_vcpu *v,
			  const struct nm_html_vcpu *other)
{
	size_t count = 0;

	for (size_t i = 0; i < v->report->finding_count; i++) {
		const struct nm_finding *finding = &v->report->findings[i];
		enum nm_mark mark = nm_finding_mark(finding);

		if (has_finding(other, finding->rule))
			continue;
		count++;
		nm_buf_printf(&h->buf, "<li class=%s><em>%s</em> <b>only in %s</b> <a href=\"#",
			      nm_mark_class(mark), nm_mark_sign(mark), *v->file == 'a' ? "A" : "B");
		nm_html_id(h, v);
		nm_buf_printf(&h->buf, "r-%s\">%s</a>: ", finding->rule->id, finding->rule->id);
		nm_html_text(h, finding->rule->title);
		nm_buf_puts(&h->buf, "\n");
	}
	return count;
}

static void put_value(struct nm_html *h, const struct nm_html_vcpu *v, size_t index)
{
	const struct nm_field *field = nm_field_at(index);

	nm_buf_printf(&h->buf, "<span><i>%s</i> ", *v->file == 'a' ? "A" : "B");
	if (nm_field_present(v->vcpu, field))
		nm_html_value(h, field->name, nm_field_value(v->vcpu, field),
			      nm_field_width(v->vcpu, field));
	else
		nm_buf_puts(&h->buf, "not there");
	nm_buf_puts(&h->buf, "</span>");
}

static bool is_same(const struct nm_html_vcpu *a, const struct nm_html_vcpu *b,
		    const struct nm_field *field)
{
	bool in_a = nm_field_present(a->vcpu, field), in_b = nm_field_present(b->vcpu, field);

	if (in_a != in_b)
		return false;
	return !in_a || nm_field_value(a->vcpu, field) == nm_field_value(b->vcpu, field);
}

/* Every field that differs, marked by the worse of its two marks; returns how many. */
static size_t put_fields(struct nm_html *h, const struct nm_html_vcpu *a,
			 const struct nm_html_vcpu *b)
{
	size_t count = 0;

	for (size_t i = 0; i < nm_field_count(); i++) {
		enum nm_mark in_a = nm_field_mark(h, a, i), in_b = nm_field_mark(h, b, i);
		enum nm_mark mark = in_a < in_b ? in_a : in_b;

		if (nm_field_at(i)->kvm_width > sizeof(uint64_t) || is_same(a, b, nm_field_at(i)))
			continue;
		count++;
		nm_buf_printf(&h->buf, "<div class=\"d %s\"><b><em title=\"%s\">%s</em> ",
			      nm_mark_class(mark), nm_mark_text(mark), nm_mark_sign(mark));
		nm_html_text(h, nm_field_at(i)->name);
		nm_buf_puts(&h->buf, "</b>");
		put_value(h, a, i);
		put_value(h, b, i);
		nm_buf_puts(&h->buf, "</div>\n");
	}
	return count;
}

static void put_pair(struct nm_html *h, const struct nm_html_vcpu *a, const struct nm_html_vcpu *b)
{
	const struct nm_consequence_row *row_a = &nm_consequences[a->report->outcome];
	const struct nm_consequence_row *row_b = &nm_consequences[b->report->outcome];
	size_t count;

	nm_buf_printf(&h->buf, "<h3>vCPU %u</h3>\n<p>A: %s, %s, <code>%s</code>", a->report->id,
		      a->report->mode, nestmig_verdict_name(a->report->verdict), row_a->outcome);
	nm_put_ioctl(&h->buf, row_a);
	nm_buf_printf(&h->buf, "<br>B: %s, %s, <code>%s</code>", b->report->mode,
		      nestmig_verdict_name(b->report->verdict), row_b->outcome);
	nm_put_ioctl(&h->buf, row_b);
	nm_buf_puts(&h->buf, "\n<ul class=rl>\n");
	count = put_only_in(h, a, b) + put_only_in(h, b, a);
	nm_buf_puts(&h->buf, "</ul>\n");
	if (!count)
		nm_buf_puts(&h->buf, "<p>The findings are the same.\n");
	nm_buf_puts(&h->buf, "<details class=g open><summary>Fields that differ</summary>\n"
			     "<div class=df>\n");
	if (!put_fields(h, a, b))
		nm_buf_puts(&h->buf, "<p>None: every decoded field is the same.\n");
	nm_buf_puts(&h->buf, "</div></details>\n");
}

static void put_lonely(struct nm_html *h, const struct nm_html_file *file,
		       const struct nm_html_file *other)
{
	for (size_t i = 0; i < file->report->vcpu_count; i++)
		if (!partner(other, file->report->vcpus[i].id))
			nm_buf_printf(&h->buf, "<p>vCPU %u is only in %s.\n",
				      file->report->vcpus[i].id, file == &h->files[0] ? "A" : "B");
}

void nm_html_diff(struct nm_html *h)
{
	size_t left_out = 0;

	nm_buf_puts(&h->buf, "<section class=v>\n<h2>What differs</h2>\n");
	for (size_t i = 0; i < h->files[0].report->vcpu_count; i++) {
		const struct nm_html_vcpu *a = &h->files[0].vcpus[i];
		const struct nm_html_vcpu *b = partner(&h->files[1], a->report->id);

		if (b && a->has_map)
			put_pair(h, a, b);
		else
			left_out += b != NULL;
	}
	put_lonely(h, &h->files[0], &h->files[1]);
	put_lonely(h, &h->files[1], &h->files[0]);
	if (left_out)
		nm_buf_printf(&h->buf,
			      "<p class=ex>%zu more vCPUs are in both and not compared "
			      "here.\n",
			      left_out);
	nm_buf_puts(&h->buf, "</section>\n");
}
