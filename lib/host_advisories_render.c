// SPDX-License-Identifier: LGPL-2.1-or-later
/* The advisories of a host as text and JSON. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "buf.h"
#include "host_advisories.h"
#include "host_parts.h"

#define WIDTH 96 /* columns of a line of text */

void nm_advisories_count(const struct nestmig_host *host, size_t counts[NM_ADVISORY_STATUSES])
{
	memset(counts, 0, NM_ADVISORY_STATUSES * sizeof(counts[0]));
	for (size_t i = 0; i < nm_advisory_count; i++) {
		struct nm_advisory_result result;

		if (!nm_advisory_applies(&nm_advisories[i], host))
			continue;
		nm_advisory_judge(&nm_advisories[i], host, &result);
		counts[result.status]++;
	}
}

/* Text that goes on in the next line, indented, where it would be too long. */
static void put_wrapped(struct nm_buf *buf, unsigned indent, const char *text)
{
	unsigned column = 0;

	while (*text) {
		unsigned length = (unsigned)strcspn(text, " ");

		if (!column || column + 1 + length > WIDTH) {
			nm_buf_printf(buf, "%s%*s", column ? "\n" : "", (int)indent, "");
			column = indent;
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

static void put_one(struct nm_buf *buf, const struct nm_advisory *advisory,
		    const struct nm_advisory_result *result)
{
	bool has_cve = *advisory->cve && strcmp(advisory->cve, advisory->id) != 0;

	nm_buf_printf(buf, "%-13s%s%s%s%s%s", nm_advisory_status_name(result->status), advisory->id,
		      has_cve ? "  " : "", has_cve ? advisory->cve : "",
		      *advisory->mainline ? "  Linux " : "", advisory->mainline);
	if (result->by != NM_BY_NOTHING)
		nm_buf_printf(buf, "  (%s: %s)", nm_advisory_by_name(result->by), result->evidence);
	nm_buf_puts(buf, "\n");
	put_wrapped(buf, 13, advisory->symptom);
}

enum nestmig_error nm_advisories_text(const struct nestmig_host *host, bool all,
				      size_t counts[NM_ADVISORY_STATUSES], char **ret_text)
{
	static const enum nm_advisory_status order[] = {NM_ADVISORY_AFFECTED, NM_ADVISORY_UNKNOWN,
							NM_ADVISORY_NOT_AFFECTED,
							NM_ADVISORY_FIXED};
	size_t own[NM_ADVISORY_STATUSES];
	struct nm_buf buf = {0};

	nm_advisories_count(host, counts ? counts : own);
	if (counts)
		memcpy(own, counts, sizeof(own));
	nm_buf_printf(&buf, "%s, %s: %zu affected, %zu unknown, %zu not affected, %zu fixed\n",
		      host->kernel ? host->kernel : "unknown kernel",
		      nm_host_vendor_name(host->view.vendor), own[NM_ADVISORY_AFFECTED],
		      own[NM_ADVISORY_UNKNOWN], own[NM_ADVISORY_NOT_AFFECTED],
		      own[NM_ADVISORY_FIXED]);
	for (size_t o = 0; o < (all ? 4 : 2); o++) {
		for (size_t i = 0; i < nm_advisory_count; i++) {
			struct nm_advisory_result result;

			if (!nm_advisory_applies(&nm_advisories[i], host))
				continue;
			nm_advisory_judge(&nm_advisories[i], host, &result);
			if (result.status == order[o])
				put_one(&buf, &nm_advisories[i], &result);
		}
	}
	return nm_buf_take(&buf, ret_text);
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *advisory_json(const struct nm_advisory *advisory,
			     const struct nm_advisory_result *result)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "id", advisory->id,
			 "status", nm_advisory_status_name(result->status), "by",
			 nm_advisory_by_name(result->by), "evidence",
			 text_or_null(result->evidence), "cve", text_or_null(advisory->cve),
			 "mainline", text_or_null(advisory->mainline), "stable",
			 text_or_null(advisory->stable), "title", text_or_null(advisory->title),
			 "symptom", advisory->symptom);
}

enum nestmig_error nm_advisories_json(const struct nestmig_host *host,
				      size_t counts[NM_ADVISORY_STATUSES], char **ret_text)
{
	size_t own[NM_ADVISORY_STATUSES];
	json_t *list = json_array(), *root;
	char *text;

	nm_advisories_count(host, own);
	if (counts)
		memcpy(counts, own, sizeof(own));
	for (size_t i = 0; i < nm_advisory_count; i++) {
		struct nm_advisory_result result;

		if (!nm_advisory_applies(&nm_advisories[i], host))
			continue;
		nm_advisory_judge(&nm_advisories[i], host, &result);
		if (json_array_append_new(list, advisory_json(&nm_advisories[i], &result))) {
			json_decref(list);
			return NESTMIG_ERR_NOMEM;
		}
	}
	root = json_pack("{s:s, s:s?, s:s, s:{s:I, s:I, s:I, s:I}, s:o}", "schema",
			 "nestmig.host-advisories/1", "kernel", host->kernel, "vendor",
			 nm_host_vendor_name(host->view.vendor), "counts", "affected",
			 (json_int_t)own[NM_ADVISORY_AFFECTED], "unknown",
			 (json_int_t)own[NM_ADVISORY_UNKNOWN], "not-affected",
			 (json_int_t)own[NM_ADVISORY_NOT_AFFECTED], "fixed",
			 (json_int_t)own[NM_ADVISORY_FIXED], "advisories", list);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	*ret_text = text;
	return NESTMIG_OK;
}
