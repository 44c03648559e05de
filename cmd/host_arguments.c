// SPDX-License-Identifier: GPL-2.0-or-later
/* Profiles from this machine, from captured trees and from files. */
#include <sys/stat.h>

#include "host_advisories.h"
#include "host_command.h"
#include "host.h"
#include "hostarg.h"
#include "sandbox.h"

enum nestmig_error host_take_live(struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nestmig_host_live(&host, detail);

	if (error)
		return error;
	error = host_probe(host, detail);
	if (!error)
		error = nm_host_read_changelog(host, "/", detail);
	/* A documentation file that is broken is no reason to have no profile. */
	if (error == NESTMIG_ERR_FORMAT || error == NESTMIG_ERR_LIMIT)
		error = NESTMIG_OK;
	if (!error && !host->changelog.count)
		error = host_ask_rpm(host, detail);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	*ret_host = host;
	return NESTMIG_OK;
}

enum nestmig_error host_take_tree(const char *root, struct nestmig_host **ret_host,
				  struct nestmig_detail *detail)
{
	struct nestmig_host *host = NULL;
	enum nestmig_error error = nestmig_host_tree(root, &host, detail);

	if (!error)
		error = nm_host_read_changelog(host, root, detail);
	if (error) {
		nestmig_host_free(host);
		return error;
	}
	*ret_host = host;
	return NESTMIG_OK;
}

static enum nestmig_error load(const char *name, struct nestmig_host **ret_host,
			       struct nestmig_detail *detail)
{
	struct stat there;

	if (stat(name, &there) == 0 && S_ISDIR(there.st_mode))
		return host_take_tree(name, ret_host, detail);
	return nestmig_host_load(name, ret_host, detail);
}

enum nestmig_error host_arguments(char *const *arguments, int count,
				  struct nestmig_host **ret_hosts, const char **ret_failed,
				  struct nestmig_detail *detail)
{
	const struct sandbox sandbox = {.paths = (const char *const *)arguments,
					.count = (size_t)count};
	enum nestmig_error error = NESTMIG_OK;

	*ret_failed = NULL;
	for (int i = 0; i < count && !error; i++)
		if (host_argument_is_live(arguments[i]))
			error = host_take_live(&ret_hosts[i], detail);
	if (!error)
		error = sandbox_enter(&sandbox, detail);
	for (int i = 0; i < count && !error; i++) {
		if (host_argument_is_live(arguments[i]))
			continue;
		error = load(arguments[i], &ret_hosts[i], detail);
		if (error)
			*ret_failed = arguments[i];
	}
	return error;
}
