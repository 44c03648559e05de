// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig diff A B */
#include "diff.h"

#include <getopt.h>

#include "files.h"
#include "hostarg.h"

struct diff_options {
	const struct command *self;
	const char *host_argument; /* NULL: not given */
	unsigned read_flags;
	bool json, all;
};

static int parse(struct diff_options *o, int argc, char **argv)
{
	static const struct option options[] = {{"host", required_argument, NULL, 'H'},
						{"all", no_argument, NULL, 'a'},
						{"skip-ram", no_argument, NULL, 'r'},
						{"quick", no_argument, NULL, 'q'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "H:ajh", options, NULL)) != -1) {
		switch (c) {
		case 'H':
			o->host_argument = optarg;
			break;
		case 'a':
			o->all = true;
			break;
		case 'r':
			o->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'q':
			o->read_flags |= NESTMIG_READ_QUICK;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			return cli_help(o->self);
		default:
			return cli_wrong_option(o->self);
		}
	}
	if (optind + 2 != argc)
		return cli_usage_error(o->self, "give two files");
	return -1;
}

/* The host that B describes, as the later of the two, else the one that A does. */
static enum nestmig_error own_host(struct nestmig_state *const *states,
				   struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	enum nestmig_error error = host_argument(NULL, states[NM_B], ret_host, detail);

	return error || *ret_host ? error : host_argument(NULL, states[NM_A], ret_host, detail);
}

static enum nestmig_error compare(const struct diff_options *o, struct nestmig_state *const *states,
				  const struct nestmig_host *host, int *ret_status)
{
	struct nm_diff *diff = NULL;
	char *text = NULL;
	enum nestmig_error error = nm_diff_new(states[NM_A], states[NM_B], host, &diff);

	if (error)
		return error;
	error = o->json ? nm_diff_json(diff, o->all, &text)
			: nm_diff_text(diff, o->all, cli_colour(), &text);
	if (!error) {
		*ret_status = diff->differences ? EXIT_FINDINGS : EXIT_CLEAN;
		cli_print(text);
	}
	nm_diff_free(diff);
	return error;
}

/* *ret_file: the file that an error is about, if any. */
static enum nestmig_error run(const struct diff_options *o, struct files *files, int *ret_status,
			      const char **ret_file, struct nestmig_detail *detail)
{
	bool live = host_argument_is_live(o->host_argument);
	struct nestmig_state *states[NM_SIDES] = {NULL, NULL};
	struct nestmig_host *host = NULL;
	enum nestmig_error error = files_open_input(files, detail);

	if (!error && live)
		error = host_argument(o->host_argument, NULL, &host, detail);
	if (!error)
		error = files_enter_sandbox(files, live ? NULL : o->host_argument, NULL, detail);
	for (enum nm_side side = NM_A; side < NM_SIDES && !error; side++) {
		*ret_file = files->names[side];
		error = files_read(files, side, o->read_flags, &states[side], detail);
	}
	if (!error && !live) {
		*ret_file = o->host_argument;
		error = o->host_argument ? host_argument(o->host_argument, NULL, &host, detail)
					 : own_host(states, &host, detail);
	}
	if (!error) {
		*ret_file = NULL;
		error = compare(o, states, host, ret_status);
	}
	nestmig_host_free(host);
	nestmig_state_free(states[NM_A]);
	nestmig_state_free(states[NM_B]);
	return error;
}

int cmd_diff(const struct command *self, int argc, char **argv)
{
	struct diff_options o = {.self = self};
	struct nestmig_detail detail = {0};
	struct files files = {.input = -1};
	const char *file = NULL;
	int status = parse(&o, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = files_gather(&files, argc - optind, argv + optind, NULL, &detail);
	if (!error)
		error = run(&o, &files, &status, &file, &detail);
	if (error)
		status = cli_error(self, o.json, file, error, &detail);
	files_free(&files);
	return status;
}
