// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig validate FILE... */
#include <getopt.h>
#include <stdio.h>

#include "files.h"
#include "hostarg.h"
#include "jobs.h"
#include "options.h"

struct validate {
	const struct command *self;
	const char *host_argument, *order; /* NULL: not given */
	const char *list;                  /* of --files-from, or NULL */
	struct files files;
	struct nestmig_host *host; /* of --host; NULL if that is "none" or not given */
	unsigned read_flags;
	int processes;
	bool json, strict, colour;
};

static int exit_code(const struct validate *v, enum nestmig_verdict verdict)
{
	if (verdict == NESTMIG_VERDICT_FAIL)
		return EXIT_FINDINGS;
	return verdict == NESTMIG_VERDICT_UNKNOWN && v->strict ? EXIT_FINDINGS : EXIT_CLEAN;
}

static enum nestmig_error judge_and_print(const struct validate *v, const char *file, FILE *out,
					  const struct nestmig_state *state,
					  const struct nestmig_host *host, int *ret_status)
{
	struct nestmig_report *report = NULL;
	enum nestmig_error error = nestmig_judge(state, host, &report);
	char *text = NULL;

	if (error)
		return error;
	error = v->json ? nestmig_report_json(report, file, &text)
			: nestmig_report_text(report, file, v->colour, &text);
	if (!error) {
		*ret_status = exit_code(v, nestmig_report_verdict(report));
		cli_print_to(out, text);
	}
	nestmig_report_free(report);
	return error;
}

/* Of struct jobs. */
static int validate_file(void *ctx, size_t index, FILE *out, FILE *err)
{
	const struct validate *v = ctx;
	const char *file = v->files.names[index];
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	struct nestmig_host *own = NULL;
	int status = EXIT_TROUBLE;
	enum nestmig_error error = files_read(&v->files, index, v->read_flags, &state, &detail);

	if (!error && v->order)
		error = nestmig_state_set_restore_order(state, v->order, &detail);
	if (!error && !v->host_argument)
		error = host_argument(NULL, state, &own, &detail);
	if (!error)
		error = judge_and_print(v, file, out, state, v->host_argument ? v->host : own,
					&status);
	nestmig_host_free(own);
	nestmig_state_free(state);
	return error ? cli_error_to(out, err, v->self, v->json, file, error, &detail) : status;
}

static int parse(struct validate *v, int argc, char **argv)
{
	static const struct option options[] = {{"host", required_argument, NULL, 'H'},
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
			v->host_argument = optarg;
			break;
		case 's':
			v->strict = true;
			break;
		case 'o':
			v->order = optarg;
			break;
		case 'n':
			v->files.snapshot = optarg;
			break;
		case 'r':
			v->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'q':
			v->read_flags |= NESTMIG_READ_QUICK;
			break;
		case 'J':
			if (!option_number(optarg, 0, JOBS_MAX, &v->processes))
				return cli_usage_error(v->self, "--jobs takes a number, not \"%s\"",
						       optarg);
			break;
		case 'T':
			v->list = optarg;
			break;
		case 'j':
			v->json = true;
			break;
		case 'h':
			return cli_help(v->self);
		default:
			return cli_wrong_option(v->self);
		}
	}
	if (optind == argc && !v->list)
		return cli_usage_error(v->self, "no file given");
	return -1;
}

/* The profile is the same for all files. That of this machine cannot be taken in the sandbox, any
 * other is read inside. Of struct jobs. */
static int prepare(void *ctx, FILE *out, FILE *err)
{
	struct validate *v = ctx;
	bool live = host_argument_is_live(v->host_argument);
	struct nestmig_detail detail = {0};
	const char *file = NULL;
	enum nestmig_error error =
		files_enter_sandbox(&v->files, live ? NULL : v->host_argument, NULL, &detail);

	if (!error && !live && v->host_argument) {
		file = v->host_argument;
		error = host_argument(v->host_argument, NULL, &v->host, &detail);
	}
	return error ? cli_error_to(out, err, v->self, v->json, file, error, &detail) : EXIT_CLEAN;
}

int cmd_validate(const struct command *self, int argc, char **argv)
{
	struct validate v = {.self = self, .processes = 1, .colour = cli_colour()};
	struct nestmig_detail detail = {0};
	int status = parse(&v, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	error = files_gather(&v.files, argc - optind, argv + optind, v.list, &detail);
	if (!error)
		error = files_open_input(&v.files, &detail);
	if (!error && host_argument_is_live(v.host_argument))
		error = host_argument(v.host_argument, NULL, &v.host, &detail);
	if (error) {
		status = cli_error(self, v.json, NULL, error, &detail);
	} else {
		status = jobs_run(&(struct jobs){.self = self,
						 .what = argv[0],
						 .names = (const char *const *)v.files.names,
						 .count = v.files.count,
						 .processes = v.processes,
						 .input = v.files.input,
						 .separate = !v.json,
						 .json = v.json,
						 .prepare = prepare,
						 .work = validate_file,
						 .ctx = &v});
	}
	nestmig_host_free(v.host);
	files_free(&v.files);
	return status;
}
