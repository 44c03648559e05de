// SPDX-License-Identifier: LGPL-2.1-or-later
/* The report as text for people. */
#include <inttypes.h>

#include "buf.h"
#include "report_internal.h"

struct text {
	struct nm_buf buf;
	const char *bold, *dim, *red, *yellow, *green, *plain;
	const char *byte; /* what is counted: bytes of the file, or of the stream inside */
};

static struct text text_start(bool colour)
{
	if (colour)
		return (struct text){.bold = "\033[1m",
				     .dim = "\033[2m",
				     .red = "\033[31m",
				     .yellow = "\033[33m",
				     .green = "\033[32m",
				     .plain = "\033[0m",
				     .byte = ""};
	return (struct text){.bold = "",
			     .dim = "",
			     .red = "",
			     .yellow = "",
			     .green = "",
			     .plain = "",
			     .byte = ""};
}

static const char *verdict_colour(const struct text *t, enum nestmig_verdict verdict)
{
	switch (verdict) {
	case NESTMIG_VERDICT_OK:
		return t->green;
	case NESTMIG_VERDICT_FAIL:
		return t->red;
	case NESTMIG_VERDICT_UNKNOWN:
		break;
	}
	return t->yellow;
}

static const char *severity_colour(const struct text *t, enum nm_severity severity)
{
	switch (severity) {
	case NM_SEVERITY_ERROR:
		return t->red;
	case NM_SEVERITY_WARNING:
		return t->yellow;
	case NM_SEVERITY_NOTE:
		break;
	}
	return t->dim;
}

static void put_verdict(struct text *t, enum nestmig_verdict verdict)
{
	nm_buf_printf(&t->buf, "%s%s%s", verdict_colour(t, verdict), nestmig_verdict_name(verdict),
		      t->plain);
}

void nm_put_foreign(struct nm_buf *buf, const char *text)
{
	for (; *text; text++) {
		char one[2] = {*text, 0};

		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			one[0] = '?';
		nm_buf_puts(buf, one);
	}
}

static void put_field(struct text *t, const struct nm_shown_field *field)
{
	nm_buf_printf(&t->buf, "      %s ", field->name);
	if (!field->known) {
		nm_buf_printf(&t->buf, "%sis not in the file%s\n", t->dim, t->plain);
		return;
	}
	nm_buf_printf(&t->buf, "= 0x%0*" PRIx64, (int)(2 * field->width), field->value);
	if (field->offset != UINT64_MAX) {
		nm_buf_printf(&t->buf, "  %s(%s%s%s %" PRIu64 " = 0x%" PRIx64 ")%s", t->dim,
			      field->file, *field->file ? ", " : "", t->byte, field->offset,
			      field->offset, t->plain);
	}
	nm_buf_puts(&t->buf, "\n");
}

static void put_finding(struct text *t, const struct nm_finding *finding)
{
	const struct nm_rule *rule = finding->rule;

	nm_buf_printf(&t->buf, "  %s%s%s %s%s%s\n", severity_colour(t, finding->severity),
		      nm_severity_name(finding->severity), t->plain, t->bold, rule->id, t->plain);
	nm_buf_printf(&t->buf, "      Does not hold: %s.\n", rule->title);
	for (size_t i = 0; i < finding->field_count; i++)
		put_field(t, &finding->fields[i]);
	if (*finding->detail)
		nm_buf_printf(&t->buf, "      %s\n", finding->detail);
	if (finding->consequence != NM_CONSEQUENCE_NONE)
		nm_buf_printf(&t->buf, "      %s\n", nm_consequences[finding->consequence].text);
	nm_buf_printf(&t->buf, "      %sSee %s.%s\n", t->dim, rule->reference, t->plain);
}

void nm_put_finding(struct nm_buf *buf, const struct nm_finding *finding, bool colour)
{
	struct text t = text_start(colour);

	t.buf = *buf;
	put_finding(&t, finding);
	*buf = t.buf;
}

static void put_outcome(struct text *t, const struct nm_vcpu_report *vcpu)
{
	const struct nm_consequence_row *row = &nm_consequences[vcpu->outcome];

	nm_buf_printf(&t->buf, "  Outcome: %s%s%s", t->bold, row->outcome, t->plain);
	nm_put_ioctl(&t->buf, row);
	nm_buf_printf(&t->buf, "%s.\n", nm_unless(vcpu));
	if (vcpu->is_not_nested)
		nm_buf_puts(
			&t->buf,
			"  The vCPU has no nested state: its registers and events are judged.\n");
}

static void put_items(struct text *t, uint64_t items)
{
	const char *separator = "";

	for (int i = 0; i < NESTMIG_ITEM_COUNT; i++) {
		const char *hint = nm_item_hint(i);

		if (!(items >> i & 1))
			continue;
		nm_buf_printf(&t->buf, "%s%s%s%s%s", separator, nm_item_name(i), *hint ? " (" : "",
			      hint, *hint ? ")" : "");
		separator = ", ";
	}
}

/* The undecided rules that lack the same as the one at first, which is the first of its kind. */
static void put_group(struct text *t, const struct nm_vcpu_report *vcpu, size_t first)
{
	uint64_t missing = vcpu->undecided[first].missing;
	size_t count = 0;

	for (size_t i = first; i < vcpu->undecided_count; i++)
		count += vcpu->undecided[i].missing == missing;
	if (missing) {
		nm_buf_printf(&t->buf, "    %zu %s ", count,
			      count == 1 ? "rule needs" : "rules need");
		put_items(t, missing);
		nm_buf_puts(&t->buf, ":\n     ");
	} else {
		nm_buf_puts(&t->buf,
			    "    because an input that is there does not say enough:\n     ");
	}
	for (size_t i = first; i < vcpu->undecided_count; i++)
		if (vcpu->undecided[i].missing == missing)
			nm_buf_printf(&t->buf, " %s", vcpu->undecided[i].rule->id);
	nm_buf_puts(&t->buf, "\n");
}

static void put_undecided(struct text *t, const struct nm_vcpu_report *vcpu)
{
	if (!vcpu->undecided_count)
		return;
	nm_buf_puts(&t->buf, "  Could not be judged:\n");
	for (size_t i = 0; i < vcpu->undecided_count; i++)
		if (nm_is_first_of_group(vcpu, i))
			put_group(t, vcpu, i);
}

static void put_vcpu(struct text *t, const struct nm_vcpu_report *vcpu)
{
	nm_buf_printf(&t->buf, "%svCPU %u%s (%s): ", t->bold, vcpu->id, t->plain, vcpu->mode);
	put_verdict(t, vcpu->verdict);
	nm_buf_puts(&t->buf, "\n");
	for (size_t i = 0; i < vcpu->finding_count; i++)
		put_finding(t, &vcpu->findings[i]);
	put_outcome(t, vcpu);
	put_undecided(t, vcpu);
}

enum nestmig_error nestmig_report_text(const struct nestmig_report *report, const char *file,
				       bool colour, char **ret_text)
{
	const char *vendor = nm_vendor_name(report->vendor);
	struct text t = text_start(colour);

	t.byte = nm_byte_word(report);
	nm_put_foreign(&t.buf, file);
	nm_buf_puts(&t.buf, ": ");
	put_verdict(&t, report->verdict);
	nm_buf_printf(&t.buf, "  (%s, %s, ", report->format, vendor ? vendor : "vendor not known");
	if (report->host_kernel) {
		nm_buf_puts(&t.buf, "for kernel ");
		nm_put_foreign(&t.buf, report->host_kernel);
	} else {
		nm_buf_puts(&t.buf,
			    report->has_host ? "for a host of unknown kernel" : "for no host");
	}
	nm_buf_puts(&t.buf, ")\n");
	if (report->remark)
		nm_buf_printf(&t.buf, "  %s\n", report->remark);
	for (size_t i = 0; i < report->vcpu_count; i++)
		put_vcpu(&t, &report->vcpus[i]);
	return nm_buf_take(&t.buf, ret_text);
}
