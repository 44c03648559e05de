// SPDX-License-Identifier: LGPL-2.1-or-later
/* Text, marks and values on the HTML page. */
#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "jsontext.h"
#include "report_html.h"

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void nm_html_text(struct nm_html *h, const char *text)
{
	while (*text) {
		size_t plain = strcspn(text, "&<>\"'");

		nm_buf_printf(&h->buf, "%.*s", (int)plain, text);
		text += plain;
		if (*text)
			nm_buf_puts(&h->buf, entity(*text++));
	}
}

/*
 * The length of a character of valid UTF-8 that is not shown: controls (C0, DEL, C1), and those that mark
 * or change the direction of text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069); else 0.
 */
static size_t unseen(const unsigned char *p)
{
	if (*p < 0x20 || *p == 0x7f)
		return 1;
	if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c))
		return 2;
	if (p[0] != 0xe2)
		return 0;
	if (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xaa && p[2] <= 0xae)))
		return 3;
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0;
}

void nm_html_clean(struct nm_html *h, const char *text)
{
	json_t *json = nm_json_text(text);
	const char *valid = json ? json_string_value(json) : NULL;

	if (!valid) {
		h->buf.failed = true;
		json_decref(json);
		return;
	}
	while (*valid) {
		size_t skip = unseen((const unsigned char *)valid);
		char one[2] = {*valid, 0};

		nm_html_text(h, skip ? "?" : one);
		valid += skip ? skip : 1;
	}
	json_decref(json);
}

void nm_html_foreign(struct nm_html *h, const char *text)
{
	nm_buf_puts(&h->buf, "<bdi>");
	nm_html_clean(h, text);
	nm_buf_puts(&h->buf, "</bdi>");
}

const char *nm_mark_class(enum nm_mark mark)
{
	static const char *const classes[NM_MARKS] = {"b", "w", "u", "h", "n"};

	return classes[mark];
}

const char *nm_mark_sign(enum nm_mark mark)
{
	static const char *const signs[NM_MARKS] = {"✗", "!", "?", "✓", "·"};

	return signs[mark];
}

const char *nm_mark_text(enum nm_mark mark)
{
	static const char *const texts[NM_MARKS] = {"broken", "warning", "unknown", "holds",
						    "not judged"};

	return texts[mark];
}

enum nm_mark nm_verdict_mark(enum nestmig_verdict verdict)
{
	switch (verdict) {
	case NESTMIG_VERDICT_OK:
		return NM_MARK_HOLDS;
	case NESTMIG_VERDICT_FAIL:
		return NM_MARK_BROKEN;
	case NESTMIG_VERDICT_UNKNOWN:
		break;
	}
	return NM_MARK_UNKNOWN;
}

enum nm_mark nm_finding_mark(const struct nm_finding *finding)
{
	return finding->severity == NM_SEVERITY_ERROR ? NM_MARK_BROKEN : NM_MARK_WARNING;
}

void nm_html_id(struct nm_html *h, const struct nm_html_vcpu *v)
{
	nm_buf_printf(&h->buf, "%s%zu-", v->file, v->index);
}

void nm_html_value(struct nm_html *h, const char *name, uint64_t value, unsigned width)
{
	const struct nm_bit *bits = nm_bits_of(name);

	nm_buf_printf(&h->buf, "<code>0x%0*" PRIx64 "</code>", (int)(2 * width), value);
	if (!bits)
		return;
	for (; bits->name; bits++) {
		if (!(value >> bits->bit & 1))
			continue;
		if (*bits->name) {
			nm_buf_puts(&h->buf, " <kbd>");
			nm_html_text(h, bits->name);
			nm_buf_puts(&h->buf, "</kbd>");
		}
		value &= ~(UINT64_C(1) << bits->bit);
	}
	if (value)
		nm_buf_printf(&h->buf, " <kbd class=x>+0x%" PRIx64 "</kbd>", value);
}

void nm_html_place(struct nm_html *h, const struct nm_html_vcpu *v, const char *file,
		   uint64_t offset)
{
	if (offset == UINT64_MAX) {
		nm_buf_puts(&h->buf, "no place of its own in the file");
		return;
	}
	if (file && *file) {
		nm_buf_puts(&h->buf, "<code>");
		nm_html_foreign(h, file);
		nm_buf_puts(&h->buf, "</code>, ");
	}
	nm_buf_printf(&h->buf, "%s %" PRIu64 " = 0x%" PRIx64, v->byte, offset, offset);
}
