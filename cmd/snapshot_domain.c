// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig snapshot --domain: libvirt saves the domain, and the image is judged. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain_image.h"
#include "error.h"
#include "jsontext.h"
#include "libvirt.h"

/* The daemon has another working directory, and would write over what is there. */
static enum nestmig_error whole_path(const char *file, char path[PATH_MAX],
				     struct nestmig_detail *detail)
{
	char directory[PATH_MAX];
	int length;

	if (access(file, F_OK) == 0)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "it is there already, and libvirt would write over it");
	if (*file == '/')
		length = snprintf(path, PATH_MAX, "%s", file);
	else if (getcwd(directory, sizeof(directory)))
		length = snprintf(path, PATH_MAX, "%s/%s", directory, file);
	else
		return nm_fail_errno(detail, "the working directory");
	return length < PATH_MAX ? NESTMIG_OK
				 : nm_fail(detail, NESTMIG_ERR_LIMIT, "the name is too long");
}

static enum nestmig_error save(const struct domain_request *request, const char **ret_status,
			       struct nestmig_detail *detail)
{
	virConnectPtr connection = NULL;
	virDomainPtr domain = NULL;
	char path[PATH_MAX];
	enum nestmig_error error = whole_path(request->file, path, detail);

	if (!error)
		error = libvirt_open(request->uri, &connection, detail);
	if (!error)
		error = libvirt_lookup(connection, request->domain, &domain, detail);
	if (!error && virDomainSaveFlags(domain, path, NULL, 0) < 0)
		error = libvirt_failed("", detail);
	if (!error)
		*ret_status = libvirt_state(domain);
	libvirt_domain_free(domain);
	libvirt_close(connection);
	return error;
}

static enum nestmig_error print(const struct domain_request *request, const char *status,
				struct domain_judged *judged)
{
	json_t *json;

	if (!request->json) {
		cli_print(judged->report);
		judged->report = NULL;
		cli_put_name(stdout, request->file);
		printf(": saved, the domain is %s; `nestmig restore --domain` brings it back\n",
		       status);
		return NESTMIG_OK;
	}
	json = json_pack("{s:s, s:o, s:s, s:o, s:s, s:o}", "schema", "nestmig.snapshot/1", "file",
			 nm_json_text(request->file), "kind", "libvirt-save", "domain",
			 nm_json_text(request->domain), "status", status, "report",
			 json_loads(judged->report, 0, NULL));
	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

int snapshot_domain(const struct command *self, const struct domain_request *request)
{
	struct domain_judged judged = {0};
	struct nestmig_detail detail = {0};
	const char *status = NULL;
	enum nestmig_error error = save(request, &status, &detail);

	if (!error) {
		error = domain_judge(request, &judged, &detail);
		if (error)
			fprintf(stderr,
				"nestmig snapshot: the domain is saved and %s, but its image could "
				"not be judged\n",
				status);
	}
	if (!error)
		error = print(request, status, &judged);
	free(judged.report);
	if (error)
		return cli_error(self, request->json, request->file, error, &detail);
	return judged.verdict == NESTMIG_VERDICT_FAIL ? EXIT_FINDINGS : EXIT_CLEAN;
}
