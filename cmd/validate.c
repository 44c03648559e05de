// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig validate FILE... */
#include <getopt.h>
#include <stdio.h>

#include "hostarg.h"
#include "sandbox.h"

struct validate {
	const struct command *self;
	const char *host_argument;
	struct nestmig_host *live; /* --host live, read before the sandbox */
	unsigned read_flags;
	bool json, strict;
};

static int exit_code(const struct validate *v, enum nestmig_verdict verdict)
{
	if (verdict == NESTMIG_VERDICT_FAIL)
		return EXIT_FINDINGS;
	return verdict == NESTMIG_VERDICT_UNKNOWN && v->strict ? EXIT_FINDINGS : EXIT_CLEAN;
}

static enum nestmig_error judge_and_print(const struct validate *v, const char *file,
					  const struct nestmig_state *state,
					  const struct nestmig_host *host, int *ret_status)
{
	struct nestmig_report *report = NULL;
	enum nestmig_error error = nestmig_judge(state, host, &report);
	char *text = NULL;

	if (error)
		return error;
	error = v->json ? nestmig_report_json(report, file, &text)
			: nestmig_report_text(report, file, cli_colour(), &text);
	if (!error) {
		*ret_status = exit_code(v, nestmig_report_verdict(report));
		cli_print(text);
	}
	nestmig_report_free(report);
	return error;
}

static int validate_file(const struct validate *v, const char *file)
{
	struct nestmig_detail detail = {0};
	struct nestmig_state *state = NULL;
	struct nestmig_host *own = NULL;
	int status = EXIT_TROUBLE;
	enum nestmig_error error = nestmig_state_read(file, v->read_flags, &state, &detail);

	if (!error && !v->live)
		error = host_argument(v->host_argument, state, &own, &detail);
	if (!error)
		error = judge_and_print(v, file, state, v->live ? v->live : own, &status);
	nestmig_host_free(own);
	nestmig_state_free(state);
	return error ? cli_error(v->self, v->json, file, error, &detail) : status;
}

static int parse(struct validate *v, int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'H'}, {"strict", no_argument, NULL, 's'},
		{"skip-ram", no_argument, NULL, 'r'},   {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},       {0}};
	int c;

	while ((c = getopt_long(argc, argv, "H:jh", options, NULL)) != -1) {
		switch (c) {
		case 'H':
			v->host_argument = optarg;
			break;
		case 's':
			v->strict = true;
			break;
		case 'r':
			v->read_flags |= NESTMIG_READ_SKIP_RAM_CHECKSUM;
			break;
		case 'j':
			v->json = true;
			break;
		case 'h':
			return cli_help(v->self);
		default:
			return cli_usage_error(v->self, "wrong option");
		}
	}
	if (optind == argc)
		return cli_usage_error(v->self, "no file given");
	return -1;
}

int cmd_validate(const struct command *self, int argc, char **argv)
{
	struct validate v = {.self = self};
	struct nestmig_detail detail = {0};
	enum nestmig_error error = NESTMIG_OK;
	int status = parse(&v, argc, argv);

	if (status >= 0)
		return status;
	status = EXIT_CLEAN;
	if (host_argument_is_live(v.host_argument))
		error = nestmig_host_live(&v.live, &detail);
	if (!error)
		error = sandbox_enter(&detail);
	if (error)
		return cli_error(self, v.json, NULL, error, &detail);
	for (int i = optind; i < argc; i++) {
		int one;

		if (i > optind && !v.json)
			putchar('\n');
		one = validate_file(&v, argv[i]);
		if (one > status)
			status = one;
	}
	nestmig_host_free(v.live);
	return status;
}
