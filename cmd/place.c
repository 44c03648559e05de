// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig place STATE... --hosts DIR */
#include <getopt.h>
#include <stdio.h>

#include "error.h"
#include "files.h"
#include "jobs.h"
#include "options.h"
#include "place_hosts.h"
#include "place_render.h"

struct place {
	const struct command *self;
	const char *directory, *order; /* order: NULL if not given */
	const char *list;              /* of --files-from, or NULL */
	struct files files;
	struct place_hosts hosts;
	unsigned read_flags;
	int processes;
	bool json, strict, colour;
};

/* Is there a host for it? */
static int exit_code(const struct place *p, const struct placed *placed)
{
	if (placed_count(placed, NESTMIG_VERDICT_OK))
		return EXIT_CLEAN;
	return placed_count(placed, NESTMIG_VERDICT_UNKNOWN) && !p->strict ? EXIT_CLEAN
									   : EXIT_FINDINGS;
}

static enum nestmig_error place_and_print(const struct place *p, const char *file, FILE *out,
					  const struct nestmig_state *state, int *ret_status)
{
	struct placed placed = {0};
	enum nestmig_error error = placed_new(file, state, &p->hosts, &placed);
	char *text = NULL;

	if (!error)
		error = p->json ? placed_json(&placed, &text)
				: placed_text(&placed, p->colour, &text);
	if (!error) {
		*ret_status = exit_code(p, &placed);
		cli_print_to(out, text);
	}
	placed_free(&placed);
	return error;
}

/* Of struct jobs. */
static int place_file(void *ctx, size_t index, FILE *out, FILE *err)
{
	const struct place *p = ctx;
	const char *file = p->files.names[index];
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	int status = EXIT_TROUBLE;
	enum nestmig_error error = files_read(&p->files, index, p->read_flags, &state, &detail);

	if (!error && p->order)
		error = nestmig_state_set_restore_order(state, p->order, &detail);
	if (!error)
		error = place_and_print(p, file, out, state, &status);
	nestmig_state_free(state);
	return error ? cli_error_to(out, err, p->self, p->json, file, error, &detail) : status;
}

/* Of struct jobs: the profiles have been read. */
static int prepare(void *ctx, FILE *out, FILE *err)
{
	const struct place *p = ctx;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = files_enter_sandbox(&p->files, NULL, NULL, &detail);

	return error ? cli_error_to(out, err, p->self, p->json, NULL, error, &detail) : EXIT_CLEAN;
}

static int parse(struct place *p, int argc, char **argv)
{
	static const struct option options[] = {{"hosts", required_argument, NULL, 'H'},
						{"strict", no_argument, NULL, 's'},
						{"skip-ram", no_argument, NULL, 'r'},
						{"quick", no_argument, NULL, 'q'},
						{"order", required_argument, NULL, 'o'},
						{"snapshot", required_argument, NULL, 'n'},
						{"jobs", required_argument, NULL, 'J'},
						{"files-from", required_argument, NULL, 'T'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "H:o:n:J:T:jh", options, NULL)) != -1) {
		switch (c) {
		case 'H':
			p->directory = optarg;
			break;
		case 's':
			p->strict = true;
			break;
		case 'o':
			p->order = optarg;
			break;
		case 'n':
			p->files.snapshot = optarg;
			break;
		case 'r':
			p->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'q':
			p->read_flags |= NESTMIG_READ_QUICK;
			break;
		case 'J':
			if (!option_number(optarg, 0, JOBS_MAX, &p->processes))
				return cli_usage_error(p->self, "--jobs takes a number, not \"%s\"",
						       optarg);
			break;
		case 'T':
			p->list = optarg;
			break;
		case 'j':
			p->json = true;
			break;
		case 'h':
			return cli_help(p->self);
		default:
			return cli_wrong_option(p->self);
		}
	}
	if (!p->directory || (optind == argc && !p->list))
		return cli_usage_error(p->self, "give --hosts DIRECTORY and a file");
	return -1;
}

/* All states for all hosts that could be read. */
static int place_all(struct place *p, const char *what)
{
	int status = place_hosts_read(&p->hosts, p->processes, p->self, p->json), placed;

	if (!p->hosts.count)
		return status;
	placed = jobs_run(&(struct jobs){.self = p->self,
					 .what = what,
					 .names = (const char *const *)p->files.names,
					 .count = p->files.count,
					 .processes = p->processes,
					 .input = p->files.input,
					 .separate = !p->json,
					 .json = p->json,
					 .prepare = prepare,
					 .work = place_file,
					 .ctx = p});
	return placed > status ? placed : status;
}

int cmd_place(const struct command *self, int argc, char **argv)
{
	struct place p = {.self = self, .processes = 1, .colour = cli_colour()};
	struct nestmig_detail detail = {0};
	int status = parse(&p, argc, argv);
	const char *about = NULL;
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = files_gather(&p.files, argc - optind, argv + optind, p.list, &detail);
	if (!error)
		error = files_open_input(&p.files, &detail);
	if (!error) {
		about = p.directory;
		error = place_hosts_list(p.directory, &p.hosts, &detail);
	}
	status = error ? cli_error(self, p.json, about, error, &detail) : place_all(&p, argv[0]);
	place_hosts_free(&p.hosts);
	files_free(&p.files);
	return status;
}
