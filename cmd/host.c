// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig host: what this host, or a captured one, can do. */
#include "options.h"

#include <getopt.h>
#include <stdlib.h>

struct host_options {
	const char *root; /* of a captured tree, or NULL: this machine */
	const char *save; /* file to write, or NULL: print */
	bool json;
};

/* An exit code to end with, or -1 to go on. */
static int parse_options(const struct command *self, int argc, char **argv,
			 struct host_options *options)
{
	static const struct option table[] = {{"root", required_argument, NULL, 'r'},
					      {"save", required_argument, NULL, 's'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int c, code;

	while ((c = getopt_long(argc, argv, "s:jh", table, NULL)) != -1) {
		switch (c) {
		case 'r':
			options->root = optarg;
			break;
		case 's':
			options->save = optarg;
			break;
		default:
			code = option_common(self, c, &options->json);
			if (code >= 0)
				return code;
		}
	}
	if (optind < argc)
		return cli_usage_error(self, "too many arguments");
	return -1;
}

/* Writes the profile to a file: nothing in it is secret. */
static int save(const struct command *self, const struct host_options *options,
		const struct nestmig_host *host)
{
	struct nestmig_detail detail = {0};
	char *text = NULL;
	enum nestmig_error error = nestmig_host_json(host, &text);

	if (!error)
		error = cli_write_file(options->save, text, 0644, &detail);
	free(text);
	if (error)
		return cli_error(self, options->json, options->save, error, &detail);
	return EXIT_CLEAN;
}

static int print(const struct command *self, const struct host_options *options,
		 const struct nestmig_host *host)
{
	struct nestmig_detail detail = {0};
	char *text = NULL;
	enum nestmig_error error =
		options->json ? nestmig_host_json(host, &text) : nestmig_host_text(host, &text);

	if (error)
		return cli_error(self, options->json, options->root, error, &detail);
	cli_print(text);
	return EXIT_CLEAN;
}

int cmd_host(const struct command *self, int argc, char **argv)
{
	struct host_options options = {0};
	struct nestmig_detail detail = {0};
	struct nestmig_host *host = NULL;
	int code = parse_options(self, argc, argv, &options);
	enum nestmig_error error;

	if (code >= 0)
		return code;
	error = options.root ? nestmig_host_tree(options.root, &host, &detail)
			     : nestmig_host_live(&host, &detail);
	if (error)
		return cli_error(self, options.json, options.root, error, &detail);
	code = options.save ? save(self, &options, host) : print(self, &options, host);
	nestmig_host_free(host);
	return code;
}
