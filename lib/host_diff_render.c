// SPDX-License-Identifier: LGPL-2.1-or-later
/* A comparison of hosts as text and JSON. */
#include <stdlib.h>

#include <jansson.h>

#include "buf.h"
#include "host_diff.h"
#include "jsontext.h"

static void put_item(struct nm_buf *buf, const struct nm_host_difference *item)
{
	nm_buf_printf(buf, "%-7s %-10s  %s: %s -> %s\n", nm_host_level_name(item->level),
		      item->kind, item->name, item->a, item->b);
	if (*item->why)
		nm_buf_printf(buf, "%20s%s\n", "", item->why);
}

/* The name of a host may be any bytes. */
static void put_name(struct nm_buf *buf, const char *side, const char *name,
		     const struct nestmig_host *host)
{
	json_t *text = nm_json_text(name);
	char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

	nm_buf_printf(buf, "%s: %s  %s\n", side, quoted ? quoted : "",
		      host->kernel ? host->kernel : "");
	buf->failed |= !quoted;
	free(quoted);
	json_decref(text);
}

enum nestmig_error nm_host_diff_text(const struct nm_host_diff *diff, const char *name_a,
				     const char *name_b, bool all, char **ret_text)
{
	struct nm_buf buf = {0};

	put_name(&buf, "A", name_a, diff->a);
	put_name(&buf, "B", name_b, diff->b);
	nm_buf_printf(&buf, "%zu block L2 from A on B, %zu are a risk, %zu are for information\n",
		      diff->counts[NM_LEVEL_BLOCKS], diff->counts[NM_LEVEL_RISK],
		      diff->counts[NM_LEVEL_INFO]);
	for (size_t i = 0; i < diff->count; i++)
		if (all || diff->items[i].level != NM_LEVEL_INFO)
			put_item(&buf, &diff->items[i]);
	for (size_t i = 0; i < diff->unknown_count; i++)
		nm_buf_printf(&buf, "unknown %s: not known of both, not compared\n",
			      diff->unknown[i]);
	return nm_buf_take(&buf, ret_text);
}

static json_t *items_json(const struct nm_host_diff *diff)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->count; i++) {
		const struct nm_host_difference *item = &diff->items[i];
		json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "level",
					nm_host_level_name(item->level), "kind", item->kind, "name",
					item->name, "a", item->a, "b", item->b, "why",
					*item->why ? json_string(item->why) : json_null());

		if (json_array_append_new(list, one)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

enum nestmig_error nm_host_diff_json(const struct nm_host_diff *diff, const char *name_a,
				     const char *name_b, char **ret_text)
{
	json_t *unknown = json_array(), *root;
	char *text;

	for (size_t i = 0; i < diff->unknown_count; i++)
		(void)json_array_append_new(unknown, json_string(diff->unknown[i]));
	root = json_pack("{s:s, s:o, s:o, s:{s:I, s:I, s:I}, s:o, s:o}", "schema",
			 "nestmig.host-diff/1", "a", nm_json_text(name_a), "b",
			 nm_json_text(name_b), "counts", "blocks",
			 (json_int_t)diff->counts[NM_LEVEL_BLOCKS], "risk",
			 (json_int_t)diff->counts[NM_LEVEL_RISK], "info",
			 (json_int_t)diff->counts[NM_LEVEL_INFO], "differences", items_json(diff),
			 "unknown", unknown);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!text)
		return NESTMIG_ERR_NOMEM;
	*ret_text = text;
	return NESTMIG_OK;
}
