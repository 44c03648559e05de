// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig host advisories [PROFILE] */
#include "host_advisories.h"

#include "host_command.h"

int host_advisories(const struct command *self, const struct host_options *options)
{
	char *live = (char[]){"live"};
	char *const *arguments = options->argument_count ? options->arguments : &live;
	size_t counts[NM_ADVISORY_STATUSES] = {0};
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	const char *failed = NULL;
	char *text = NULL;
	enum nestmig_error error;

	if (options->argument_count > 1)
		return cli_usage_error(self, "advisories takes one profile");
	error = host_arguments(arguments, 1, &host, &failed, &detail);
	if (!error)
		error = options->json ? nm_advisories_json(host, counts, &text)
				      : nm_advisories_text(host, options->all, counts, &text);
	nestmig_host_free(host);
	if (error)
		return cli_error(self, options->json, failed, error, &detail);
	cli_print(text);
	return counts[NM_ADVISORY_AFFECTED] || (options->strict && counts[NM_ADVISORY_UNKNOWN])
		       ? EXIT_FINDINGS
		       : EXIT_CLEAN;
}
