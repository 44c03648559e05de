// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig restore --domain: an image is judged, and libvirt restores it. */
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "domain_image.h"
#include "error.h"
#include "jsontext.h"
#include "libvirt.h"

/* An image brings its domain with it: the name given is a check that it is the one that is meant. */
static enum nestmig_error judge(const struct domain_request *request,
				struct domain_judged *ret_judged, struct nestmig_detail *detail)
{
	enum nestmig_error error = domain_judge(request, ret_judged, detail);

	if (error || strcmp(request->domain, ret_judged->name) == 0)
		return error;
	return nm_fail(detail, NESTMIG_ERR_INVALID, "this is an image of the domain \"%s\"",
		       ret_judged->name);
}

static bool is_refused(const struct domain_request *request, enum nestmig_verdict verdict)
{
	if (request->force)
		return false;
	return verdict == NESTMIG_VERDICT_FAIL ||
	       (verdict == NESTMIG_VERDICT_UNKNOWN && request->strict);
}

/* Is path still what was judged? Who writes to a file after this is not seen: libvirt takes a name. */
static bool is_same(const char *path, const struct stat *judged)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_dev == judged->st_dev &&
	       now.st_ino == judged->st_ino && now.st_size == judged->st_size &&
	       now.st_mtim.tv_sec == judged->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == judged->st_mtim.tv_nsec &&
	       now.st_ctim.tv_sec == judged->st_ctim.tv_sec &&
	       now.st_ctim.tv_nsec == judged->st_ctim.tv_nsec;
}

/* judged: the file before it was judged. */
static enum nestmig_error restore(const struct domain_request *request, const struct stat *judged,
				  const char **ret_status, struct nestmig_detail *detail)
{
	virConnectPtr connection = NULL;
	virDomainPtr domain = NULL;
	char path[PATH_MAX];
	enum nestmig_error error;

	/* The daemon has another working directory. */
	if (!realpath(request->file, path))
		return nm_fail_errno(detail, "cannot find it");
	error = libvirt_open(request->uri, &connection, detail);
	if (!error && !is_same(path, judged))
		error = nm_fail(detail, NESTMIG_ERR_INVALID,
				"it was changed while it was judged: nothing was restored");
	if (!error && virDomainRestoreFlags(connection, path, NULL, 0) < 0)
		error = libvirt_failed("", detail);
	if (!error)
		error = libvirt_lookup(connection, request->domain, &domain, detail);
	if (!error)
		*ret_status = libvirt_state(domain);
	libvirt_domain_free(domain);
	libvirt_close(connection);
	return error;
}

/* status: NULL if it was refused. */
static enum nestmig_error print(const struct domain_request *request, const char *status,
				struct domain_judged *judged)
{
	json_t *json;

	if (!request->json) {
		cli_print(judged->report);
		judged->report = NULL;
		cli_put_name(stdout, request->file);
		if (status)
			printf(": restored, the domain is %s\n", status);
		else
			puts(": refused, nothing was restored; --force restores it all the same");
		return NESTMIG_OK;
	}
	json = json_pack("{s:s, s:o, s:o, s:b, s:s?, s:o}", "schema", "nestmig.restore/1", "file",
			 nm_json_text(request->file), "domain", nm_json_text(request->domain),
			 "restored", status != NULL, "status", status, "report",
			 json_loads(judged->report, 0, NULL));
	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

int restore_domain(const struct command *self, const struct domain_request *request)
{
	struct domain_judged judged = {0};
	struct nestmig_detail detail = {0};
	const char *status = NULL;
	struct stat before;
	enum nestmig_error error = stat(request->file, &before) < 0
					   ? nm_fail_errno(&detail, "cannot find it")
					   : judge(request, &judged, &detail);
	bool refused = !error && is_refused(request, judged.verdict);

	if (!error && !refused)
		error = restore(request, &before, &status, &detail);
	if (!error)
		error = print(request, status, &judged);
	free(judged.report);
	if (error)
		return cli_error(self, request->json, request->file, error, &detail);
	return refused || (status && strcmp(status, "running") != 0 &&
			   strcmp(status, "paused") != 0)
		       ? EXIT_FINDINGS
		       : EXIT_CLEAN;
}
