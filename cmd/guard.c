// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig guard: the rules inside the kernel. */
#include <cap-ng.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "guard_command.h"
#include "hostarg.h"
#include "options.h"

enum nestmig_error guard_check_privilege(struct nestmig_detail *detail)
{
	/* BPF programs by number are for CAP_SYS_ADMIN only (bpf_prog_get_fd_by_id, 6.1). */
	if (capng_get_caps_process() || !capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "BPF programs are for root: this process has no CAP_SYS_ADMIN");
	return NESTMIG_OK;
}

enum nestmig_error guard_start(const struct guard_options *options, struct nm_guard **ret_guard,
			       struct nestmig_detail *detail)
{
	/* Without a limit: more than any VM can cause. */
	unsigned rate = options->rate ? (unsigned)options->rate : GUARD_RATE_MAX;
	struct nm_guard_options wanted = {
		.enforce = options->enforce,
		.observe = options->observe,
		.best_effort = options->best_effort,
		.burst = (uint16_t)(rate < UINT16_MAX ? rate : UINT16_MAX),
		.per_second = rate,
	};
	struct nestmig_host *host = NULL;
	enum nestmig_error error =
		host_argument_apart(options->host ? options->host : "live", &host, detail);

	if (error)
		return error;
	if (!host)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "--host none: the guard judges for a host");
	error = nm_guard_start(&wanted, host, ret_guard, detail);
	nestmig_host_free(host);
	return error;
}

static void warn_of(const char *name, void *data)
{
	const struct command *self = data;

	fprintf(stderr, "nestmig %s: without program %s, which this kernel does not take\n",
		self->name, name);
}

enum nestmig_error guard_warn(const struct command *self, const struct nm_guard *guard,
			      const struct nm_guard_config *config, struct nestmig_detail *detail)
{
	return nm_guard_left_out(guard, config, warn_of, (void *)self, detail);
}

/* ---- Options ------------------------------------------------------------------------------------- */

/* What can be done, and the options for it. */
struct action {
	const char *name, *options;
	int (*run)(const struct command *self, const struct guard_options *options);
};

static int take_option(const struct command *self, int c, struct guard_options *options)
{
	switch (c) {
	case 'm':
		options->has_mode = true;
		options->enforce = !strcmp(optarg, "enforce");
		if (!options->enforce && strcmp(optarg, "audit") != 0)
			return cli_usage_error(self, "--mode takes audit or enforce, not \"%s\"",
					       optarg);
		return -1;
	case 'H':
		options->host = optarg;
		return -1;
	case 'b':
		options->best_effort = true;
		return -1;
	case 'r':
		if (!option_number(optarg, 0, GUARD_RATE_MAX, &options->rate))
			return cli_usage_error(self, "--rate takes a number from 0 to %d",
					       GUARD_RATE_MAX);
		return -1;
	case 'M':
		options->metrics = optarg;
		return -1;
	default:
		return option_common(self, c, &options->json);
	}
}

/* An exit code to end with, or -1 to go on; used: the letters of the options that were there. */
static int parse_options(const struct command *self, int argc, char **argv,
			 struct guard_options *options, char used[16])
{
	static const struct option table[] = {
		{"mode", required_argument, NULL, 'm'},    {"host", required_argument, NULL, 'H'},
		{"best-effort", no_argument, NULL, 'b'},   {"rate", required_argument, NULL, 'r'},
		{"metrics", required_argument, NULL, 'M'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},          {0}};
	int c;

	while ((c = getopt_long(argc, argv, "m:H:br:M:jh", table, NULL)) != -1) {
		int code = take_option(self, c, options);

		if (code >= 0)
			return code;
		if (!strchr(used, c))
			used[strlen(used)] = (char)c;
	}
	return -1;
}

/* ---- install, status, remove --------------------------------------------------------------------- */

static enum nestmig_error install_started(const struct command *self, struct nm_guard *guard,
					  struct nm_guard_config *config,
					  struct nestmig_detail *detail)
{
	enum nestmig_error error = nm_guard_settings(guard, config, detail);

	if (!error)
		error = guard_warn(self, guard, config, detail);
	return error ? error : nm_guard_pin(guard, GUARD_DIR, detail);
}

static int install(const struct command *self, const struct guard_options *options)
{
	struct nestmig_detail detail = {0};
	struct nm_guard_config config;
	struct nm_guard *guard = NULL;
	enum nestmig_error error = nm_guard_open_pinned(GUARD_DIR, &guard, &detail);

	nm_guard_free(guard);
	guard = NULL;
	if (!error)
		error = nm_fail(&detail, NESTMIG_ERR_INVALID,
				"a guard is installed already: it has to be removed first");
	else if (error == NESTMIG_ERR_NOT_FOUND)
		error = guard_start(options, &guard, &detail);
	if (!error)
		error = install_started(self, guard, &config, &detail);
	nm_guard_free(guard);
	if (error)
		return cli_error(self, options->json, NULL, error, &detail);
	fprintf(stderr, "nestmig guard: installed in %s, mode %s%s\n", GUARD_DIR,
		config.enforce ? "enforce" : "audit",
		config.lsm ? "" : "; nothing can be denied here: no BPF LSM");
	return EXIT_CLEAN;
}

/* status: NULL where nothing is installed. */
static enum nestmig_error show(const struct guard_options *options,
			       const struct guard_status *status, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	char *text = NULL;

	if (options->metrics) {
		error = guard_status_metrics(status, &text);
		if (!error)
			error = cli_write_file(options->metrics, text, 0644, detail);
		free(text);
		if (error)
			return error;
	}
	error = options->json ? guard_status_json(status, &text) : guard_status_text(status, &text);
	if (!error)
		cli_print(text);
	return error;
}

static int status(const struct command *self, const struct guard_options *options)
{
	struct nestmig_detail detail = {0};
	struct guard_status found = {0};
	struct nm_guard *guard = NULL;
	enum nestmig_error error = nm_guard_open_pinned(GUARD_DIR, &guard, &detail);
	bool is_installed = !error;

	if (!error)
		error = guard_status_read(guard, &found, &detail);
	else if (error == NESTMIG_ERR_NOT_FOUND)
		error = NESTMIG_OK;
	if (!error)
		error = show(options, is_installed ? &found : NULL, &detail);
	nm_guard_free(guard);
	guard_status_free(&found);
	if (error)
		return cli_error(self, options->json, options->metrics, error, &detail);
	return is_installed && !found.left_out_count ? EXIT_CLEAN : EXIT_FINDINGS;
}

static int remove_guard(const struct command *self, const struct guard_options *options)
{
	struct nestmig_detail detail = {0};
	enum nestmig_error error = nm_guard_remove(GUARD_DIR, &detail);

	return error ? cli_error(self, options->json, NULL, error, &detail) : EXIT_CLEAN;
}

static const struct action *action_find(const char *name)
{
	static const struct action actions[] = {
		{"run", "mHbrMj", guard_run},
		{"install", "mHbrj", install},
		{"status", "Mj", status},
		{"remove", "j", remove_guard},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

int cmd_guard(const struct command *self, int argc, char **argv)
{
	struct guard_options options = {.rate = GUARD_RATE};
	struct nestmig_detail detail = {0};
	const struct action *action;
	enum nestmig_error error;
	char used[16] = "";
	int code = parse_options(self, argc, argv, &options, used);

	if (code >= 0)
		return code;
	if (optind + 1 != argc)
		return cli_usage_error(self, optind < argc
						     ? "too many arguments"
						     : "run, install, status or remove is missing");
	action = action_find(argv[optind]);
	if (!action)
		return cli_usage_error(self, "run, install, status or remove, not \"%s\"",
				       argv[optind]);
	if (used[strspn(used, action->options)])
		return cli_usage_error(self, "-%c is not an option of %s",
				       used[strspn(used, action->options)], action->name);
	error = guard_check_privilege(&detail);
	if (error)
		return cli_error(self, options.json, NULL, error, &detail);
	return action->run(self, &options);
}
