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
#include "jobs.h"
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

/* A process that reads every step-th profile, from the one at first on. */
struct reader {
	const struct place_hosts *hosts;
	size_t first, step;
	struct apart apart;
	bool is_ready; /* it has told how entering the sandbox went */
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

/* The work of apart_start, of a struct reader: how entering the sandbox went, then of each profile how reading
 * it went and its view. */
static void read_profiles(void *ctx, int channel)
{
	const struct reader *reader = ctx;
	const struct place_hosts *hosts = reader->hosts;
	const char **paths = calloc(hosts->count, sizeof(*paths));
	struct nestmig_detail detail = {0};
	enum nestmig_error error = paths ? NESTMIG_OK : NESTMIG_ERR_NOMEM;
	size_t count = 0;

	for (size_t i = reader->first; !error && i < hosts->count; i += reader->step)
		paths[count++] = hosts->hosts[i].path;
	if (!error)
		error = sandbox_enter(&(struct sandbox){.paths = paths, .count = count}, &detail);
	if (apart_put_error(channel, error, &detail) && !error)
		for (size_t i = 0; i < count && tell_profile(paths[i], channel); i++)
			;
	free(paths);
}

static enum nestmig_error start_reader(struct reader *reader, size_t first,
				       struct nestmig_detail *detail)
{
	reader->first = first;
	reader->is_ready = false;
	return apart_start(&reader->apart, read_profiles, reader, -1, detail);
}

static enum nestmig_error take_profile(struct apart *apart, struct place_host *host,
				       struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(apart, detail);

	if (!error && !apart_get(apart, apart->channel, &host->view, sizeof(host->view)))
		error = apart_failed(apart, detail);
	return error;
}

/* Takes the profile at `at` from its reader; is_bad says that it could not be read, which has been told. A reader that
 * has ended with it begins again behind it. */
static enum nestmig_error read_one(struct place_hosts *hosts, struct reader *reader, size_t at,
				   const struct command *self, bool json, bool *is_bad,
				   struct nestmig_detail *detail)
{
	struct place_host *host = &hosts->hosts[at];
	struct nestmig_detail why = {0};
	enum nestmig_error error = NESTMIG_OK, failed;

	if (reader->apart.pid == 0)
		error = start_reader(reader, at, detail);
	if (!error && !reader->is_ready)
		error = apart_get_error(&reader->apart, detail);
	if (error)
		return error;
	reader->is_ready = true;
	failed = take_profile(&reader->apart, host, &why);
	if (failed)
		cli_error(self, json, host->path, failed, &why);
	*is_bad = failed;
	return NESTMIG_OK;
}

/* All of them, by so many processes. */
static enum nestmig_error read_all(struct place_hosts *hosts, struct reader *readers, size_t count,
				   const struct command *self, bool json, bool *is_bad,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	for (size_t i = 0; i < count; i++)
		readers[i] =
			(struct reader){.hosts = hosts, .step = count, .apart = {.channel = -1}};
	for (size_t i = 0; i < count && !error; i++)
		error = start_reader(&readers[i], i, detail);
	for (size_t i = 0; i < hosts->count && !error; i++)
		error = read_one(hosts, &readers[i % count], i, self, json, &is_bad[i], detail);
	for (size_t i = 0; i < count; i++)
		apart_end(&readers[i].apart);
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

int place_hosts_read(struct place_hosts *hosts, int processes, const struct command *self,
		     bool json)
{
	size_t count = jobs_process_count(processes, hosts->count);
	struct reader *readers = calloc(count, sizeof(*readers));
	bool *is_bad = calloc(hosts->count, sizeof(*is_bad)), had_bad = false;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = NESTMIG_ERR_NOMEM;

	if (readers && is_bad)
		error = read_all(hosts, readers, count, self, json, is_bad, &detail);
	if (!error) {
		had_bad = remove_bad(hosts, is_bad);
		error = find_same(hosts, &detail);
	}
	free(readers);
	free(is_bad);
	if (error) {
		place_hosts_free(hosts);
		return cli_error(self, json, NULL, error, &detail);
	}
	return had_bad ? EXIT_TROUBLE : EXIT_CLEAN;
}
