// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig host: what this host, or a captured one, can do. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "host_command.h"
#include "host_export.h"
#include "options.h"

typedef enum nestmig_error render(const struct nestmig_host *host, char **ret_text);

static const struct format {
	const char *name;
	render *render;
} formats[] = {
	{"text", nestmig_host_text},
	{"json", nestmig_host_json},
	{"openmetrics", nm_host_openmetrics},
	{"nfd", nm_host_nfd},
	{"nova", nm_host_nova},
};

static render *find_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i].name, name))
			return formats[i].render;
	return NULL;
}

/* An exit code to end with, or -1 to go on. */
static int parse_options(const struct command *self, int argc, char **argv,
			 struct host_options *options)
{
	static const struct option table[] = {
		{"root", required_argument, NULL, 'r'},   {"save", required_argument, NULL, 's'},
		{"format", required_argument, NULL, 'f'}, {"all", no_argument, NULL, 'a'},
		{"strict", no_argument, NULL, 'S'},       {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {0}};
	int c, code;

	while ((c = getopt_long(argc, argv, "s:f:ajh", table, NULL)) != -1) {
		switch (c) {
		case 'r':
			options->root = optarg;
			break;
		case 's':
			options->save = optarg;
			break;
		case 'f':
			options->format = optarg;
			break;
		case 'a':
			options->all = true;
			break;
		case 'S':
			options->strict = true;
			break;
		default:
			code = option_common(self, c, &options->json);
			if (code >= 0)
				return code;
		}
	}
	options->arguments = argv + optind;
	options->argument_count = argc - optind;
	return -1;
}

/* Which form: --save writes JSON unless told otherwise. */
static render *choose(const struct host_options *options)
{
	if (options->format)
		return find_format(options->format);
	return options->json || options->save ? nestmig_host_json : nestmig_host_text;
}

/* Writes the profile to a file: nothing in it is secret. */
static enum nestmig_error save(const char *path, char *text, struct nestmig_detail *detail)
{
	enum nestmig_error error = cli_write_file(path, text, 0644, detail);

	free(text);
	return error;
}

static int show(const struct command *self, const struct host_options *options)
{
	render *form = choose(options);
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	const char *about = options->root;
	enum nestmig_error error;
	char *text = NULL;

	if (!form)
		return cli_usage_error(self, "--format takes text, json, openmetrics, nfd or nova");
	if (options->all || options->strict)
		return cli_usage_error(self, "--all and --strict are for diff and advisories");
	error = options->root ? host_take_tree(options->root, &host, &detail)
			      : host_take_live(&host, &detail);
	if (!error)
		error = form(host, &text);
	nestmig_host_free(host);
	if (!error && options->save) {
		about = options->save;
		error = save(options->save, text, &detail);
	} else if (!error) {
		cli_print(text);
	}
	return error ? cli_error(self, options->json, about, error, &detail) : EXIT_CLEAN;
}

int cmd_host(const struct command *self, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct command *self, const struct host_options *options);
	} actions[] = {{"diff", host_diff}, {"advisories", host_advisories}};
	struct host_options options = {0};
	int code = parse_options(self, argc, argv, &options);
	const char *action = options.argument_count ? options.arguments[0] : NULL;

	if (code >= 0)
		return code;
	if (!action)
		return show(self, &options);
	if (options.root || options.save || options.format)
		return cli_usage_error(self, "%s takes neither --root, --save nor --format",
				       action);
	options.arguments++;
	options.argument_count--;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i].name, action))
			return actions[i].run(self, &options);
	return cli_usage_error(self, "there is no \"host %s\": diff, advisories, or nothing",
			       action);
}
