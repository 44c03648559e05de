// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig host diff A B */
#include "host_diff.h"

#include "host_command.h"

static int compare(const struct command *self, const struct host_options *options,
		   struct nestmig_host *const hosts[2])
{
	char *const *names = options->arguments;
	struct nestmig_detail detail = {0};
	struct nm_host_diff *diff = NULL;
	char *text = NULL;
	enum nestmig_error error = nm_host_diff_new(hosts[0], hosts[1], &diff);
	int code = EXIT_CLEAN;

	if (!error && options->json)
		error = nm_host_diff_json(diff, names[0], names[1], &text);
	else if (!error)
		error = nm_host_diff_text(diff, names[0], names[1], options->all, &text);
	if (error) {
		nm_host_diff_free(diff);
		return cli_error(self, options->json, NULL, error, &detail);
	}
	cli_print(text);
	if (diff->counts[NM_LEVEL_BLOCKS] || diff->counts[NM_LEVEL_RISK] ||
	    (options->strict && diff->unknown_count))
		code = EXIT_FINDINGS;
	nm_host_diff_free(diff);
	return code;
}

int host_diff(const struct command *self, const struct host_options *options)
{
	struct nestmig_host *hosts[2] = {NULL, NULL};
	struct nestmig_detail detail = {0};
	const char *failed = NULL;
	enum nestmig_error error;
	int code;

	if (options->argument_count != 2)
		return cli_usage_error(
			self, "diff compares two hosts: give the one that guests leave and "
			      "the one that they go to");
	error = host_arguments(options->arguments, 2, hosts, &failed, &detail);
	code = error ? cli_error(self, options->json, failed, error, &detail)
		     : compare(self, options, hosts);
	nestmig_host_free(hosts[0]);
	nestmig_host_free(hosts[1]);
	return code;
}
