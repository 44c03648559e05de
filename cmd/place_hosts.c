// SPDX-License-Identifier: GPL-2.0-or-later
/* The profiles of a directory. */
#include "place_hosts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apart.h"
#include "error.h"
#include "host.h"
#include "jsontext.h"
#include "sandbox.h"

#define SUFFIX ".json"

/* ---- Listing -------------------------------------------------------------------------------- */

static int is_profile(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(SUFFIX) &&
	       strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* Whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_host(struct place_host *host)
{
	free(host->path);
	free(host->name);
	json_decref(host->json_name);
}

static bool set_names(struct place_host *host, const char *directory, const char *file)
{
	host->name = strndup(file, strlen(file) - strlen(SUFFIX));
	if (!host->name || asprintf(&host->path, "%s/%s", directory, file) < 0) {
		host->path = NULL;
		return false;
	}
	host->json_name = nm_json_text(host->name);
	return host->json_name;
}

enum nestmig_error place_hosts_list(const char *directory, struct place_hosts *ret_hosts,
				    struct nestmig_detail *detail)
{
	struct place_hosts hosts = {0};
	struct dirent **entries = NULL;
	int count = scandir(directory, &entries, is_profile, by_name);
	bool has_memory;

	if (count < 0)
		return nm_fail_errno(detail, "cannot list the directory");
	hosts.hosts = calloc((size_t)count + 1, sizeof(*hosts.hosts));
	has_memory = hosts.hosts;
	for (int i = 0; i < count; i++) {
		has_memory = has_memory &&
			     set_names(&hosts.hosts[hosts.count++], directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (!has_memory) {
		place_hosts_free(&hosts);
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	}
	if (count == 0) {
		place_hosts_free(&hosts);
		return nm_fail(detail, NESTMIG_ERR_NOT_FOUND,
			       "there is no file *.json in it: `nestmig host --save` writes them");
	}
	*ret_hosts = hosts;
	return NESTMIG_OK;
}

void place_hosts_free(struct place_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		free_host(&hosts->hosts[i]);
	free(hosts->hosts);
	*hosts = (struct place_hosts){0};
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* What the process apart is to read: the profiles from first on. */
struct reading {
	const struct place_hosts *hosts;
	size_t first;
};

static bool tell_profile(const char *path, int channel)
{
	struct nestmig_detail detail = {0};
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nestmig_host_load(path, &host, &detail);
	bool is_told = apart_put_error(channel, error, &detail) &&
		       (error || apart_put(channel, &host->view, sizeof(host->view)));

	nestmig_host_free(host);
	return is_told;
}

/* The work of apart_start, of a struct reading: how entering the sandbox went, then of each profile how reading it
 * went and its view. */
static void read_profiles(void *ctx, int channel)
{
	const struct reading *reading = ctx;
	const struct place_hosts *hosts = reading->hosts;
	size_t count = hosts->count - reading->first;
	const char **paths = calloc(count, sizeof(*paths));
	struct nestmig_detail detail = {0};
	enum nestmig_error error = paths ? NESTMIG_OK : NESTMIG_ERR_NOMEM;

	for (size_t i = 0; !error && i < count; i++)
		paths[i] = hosts->hosts[reading->first + i].path;
	if (!error)
		error = sandbox_enter(&(struct sandbox){.paths = paths, .count = count}, &detail);
	if (apart_put_error(channel, error, &detail) && !error)
		for (size_t i = 0; i < count && tell_profile(paths[i], channel); i++)
			;
	free(paths);
}

static enum nestmig_error take_profile(struct apart *apart, struct place_host *host,
				       struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(apart, detail);

	if (!error && !apart_get(apart, apart->channel, &host->view, sizeof(host->view)))
		error = apart_failed(apart, detail);
	return error;
}

/* Reads from *at on, until all are read or the process has ended; the host at *at - 1 is the one that ended it. */
static enum nestmig_error read_some(struct place_hosts *hosts, bool *is_bad, size_t *at,
				    const struct command *self, bool json,
				    struct nestmig_detail *detail)
{
	struct reading reading = {hosts, *at};
	struct apart apart = {.channel = -1};
	enum nestmig_error error = apart_start(&apart, read_profiles, &reading, -1, detail);

	if (!error)
		error = apart_get_error(&apart, detail);
	while (!error && *at < hosts->count && apart.pid != 0) {
		struct nestmig_detail why = {0};
		size_t i = (*at)++;
		enum nestmig_error failed = take_profile(&apart, &hosts->hosts[i], &why);

		if (failed) {
			cli_error(self, json, hosts->hosts[i].path, failed, &why);
			is_bad[i] = true;
		}
	}
	apart_end(&apart);
	return error;
}

/* By view, those that are the same in the order in which they stand. */
static int by_view(const void *a, const void *b)
{
	const struct place_host *x = *(const struct place_host *const *)a;
	const struct place_host *y = *(const struct place_host *const *)b;
	int order = memcmp(&x->view, &y->view, sizeof(x->view));

	return order ? order : (x > y) - (x < y);
}

/* Fills same_as. */
static enum nestmig_error find_same(struct place_hosts *hosts, struct nestmig_detail *detail)
{
	struct place_host **sorted = calloc(hosts->count + 1, sizeof(struct place_host *));
	size_t first = 0;

	if (!sorted)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < hosts->count; i++)
		sorted[i] = &hosts->hosts[i];
	qsort(sorted, hosts->count, sizeof(struct place_host *), by_view);
	for (size_t i = 0; i < hosts->count; i++) {
		if (memcmp(&sorted[i]->view, &sorted[first]->view, sizeof(sorted[i]->view)) != 0)
			first = i;
		sorted[i]->same_as = (size_t)(sorted[first] - hosts->hosts);
	}
	free(sorted);
	return NESTMIG_OK;
}

static bool remove_bad(struct place_hosts *hosts, const bool *is_bad)
{
	size_t kept = 0;

	for (size_t i = 0; i < hosts->count; i++) {
		if (is_bad[i])
			free_host(&hosts->hosts[i]);
		else
			hosts->hosts[kept++] = hosts->hosts[i];
	}
	if (kept == hosts->count)
		return false;
	hosts->count = kept;
	return true;
}

int place_hosts_read(struct place_hosts *hosts, const struct command *self, bool json)
{
	bool *is_bad = calloc(hosts->count + 1, sizeof(*is_bad)), had_bad = false;
	enum nestmig_error error = is_bad ? NESTMIG_OK : NESTMIG_ERR_NOMEM;
	struct nestmig_detail detail = {0};
	size_t at = 0;

	while (!error && at < hosts->count)
		error = read_some(hosts, is_bad, &at, self, json, &detail);
	if (!error) {
		had_bad = remove_bad(hosts, is_bad);
		error = find_same(hosts, &detail);
	}
	free(is_bad);
	if (error) {
		place_hosts_free(hosts);
		return cli_error(self, json, NULL, error, &detail);
	}
	return had_bad ? EXIT_TROUBLE : EXIT_CLEAN;
}
