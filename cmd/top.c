// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig top: the vCPUs of this host that use nesting, live. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "guard_command.h"
#include "options.h"
#include "top_table.h"

#define NS         1000000000
#define DELAY      2
#define DELAY_MAX  86400
#define FOREVER    0
#define HEAD_LINES 3 /* of the terminal: heading, titles, and the line of the cursor */

struct top_options {
	int delay, count; /* count: FOREVER, or updates */
	bool json;
};

static volatile sig_atomic_t stop;

static void note_stop(int number)
{
	(void)number;
	stop = 1;
}

static int parse_options(const struct command *self, int argc, char **argv,
			 struct top_options *options)
{
	static const struct option table[] = {{"delay", required_argument, NULL, 'd'},
					      {"count", required_argument, NULL, 'n'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int c, code;

	while ((c = getopt_long(argc, argv, "d:n:jh", table, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (!option_number(optarg, 1, DELAY_MAX, &options->delay))
				return cli_usage_error(self, "--delay takes seconds, from 1 to %d",
						       DELAY_MAX);
			break;
		case 'n':
			if (!option_number(optarg, 1, INT32_MAX, &options->count))
				return cli_usage_error(self, "--count takes a number from 1");
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

/* ---- The terminal --------------------------------------------------------------------------------- */

struct terminal {
	bool is_set;   /* standard input gives one key at a time, unlike before */
	bool has_keys; /* and has not ended */
	struct termios before;
	size_t rows; /* vCPUs that fit; 0: standard output is no terminal */
};

static void terminal_start(struct terminal *terminal)
{
	struct termios keys;

	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &terminal->before) == 0) {
		keys = terminal->before;
		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		terminal->is_set = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
		terminal->has_keys = terminal->is_set;
	}
}

static void terminal_end(const struct terminal *terminal)
{
	if (terminal->is_set)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
}

static void terminal_measure(struct terminal *terminal)
{
	struct winsize size;

	terminal->rows = 0;
	if (!isatty(STDOUT_FILENO))
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row <= HEAD_LINES + 1)
		size.ws_row = 24;
	terminal->rows = size.ws_row - HEAD_LINES - 1;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

/* Until then, or until q or a signal. */
static void wait_until(struct terminal *terminal, int64_t end)
{
	while (!stop) {
		struct pollfd keys = {.fd = terminal->has_keys ? STDIN_FILENO : -1,
				      .events = POLLIN};
		int64_t left = end - now_ns();
		char key;

		if (left <= 0)
			return;
		if (poll(&keys, 1, (int)(left / 1000000) + 1) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1)
			terminal->has_keys = false; /* closed: only a signal ends it */
		else if (key == 'q' || key == 'Q')
			stop = 1;
	}
}

/* ---- Updates ---------------------------------------------------------------------------------------- */

/* Events are for `nestmig guard run`; unread they would only be counted as lost. */
static int drop(const struct nm_guard_event *event, const struct nm_guard_record *record,
		void *data)
{
	(void)event, (void)record, (void)data;
	return 0;
}

static enum nestmig_error show(const struct top_table *table, const struct top_options *options,
			       const struct terminal *terminal, struct nestmig_detail *detail)
{
	bool redraw = terminal->rows && !options->json;
	char *text = NULL;
	enum nestmig_error error =
		options->json ? top_json(table, &text) : top_text(table, terminal->rows, &text);

	if (error)
		return nm_fail(detail, error, "out of memory");
	if (redraw)
		fputs("\033[H\033[2J", stdout);
	cli_print(text);
	if (fflush(stdout))
		return nm_fail_errno(detail, "writing to standard output");
	return NESTMIG_OK;
}

struct look {
	struct nm_guard *guard;
	enum nestmig_vendor vendor;
	bool is_own; /* not installed: nobody else reads its events */
};

static enum nestmig_error update(const struct look *look, struct top_sample *last,
				 const struct top_options *options, struct terminal *terminal,
				 struct nestmig_detail *detail)
{
	struct top_sample now;
	struct top_table table;
	enum nestmig_error error = top_look(look->guard, now_ns(), &now, detail);

	if (!error && look->is_own)
		error = nm_guard_poll(look->guard, 0, drop, NULL, detail);
	if (error)
		return error;
	error = top_compare(last, &now, look->vendor, guard_process_name, &table);
	top_sample_free(last);
	*last = now;
	if (error)
		return nm_fail(detail, error, "out of memory");
	terminal_measure(terminal);
	error = show(&table, options, terminal, detail);
	top_table_free(&table);
	return error;
}

static enum nestmig_error watch(const struct look *look, const struct top_options *options,
				struct nestmig_detail *detail)
{
	struct terminal terminal = {0};
	struct top_sample last;
	int64_t due = now_ns();
	enum nestmig_error error = top_look(look->guard, due, &last, detail);

	if (error)
		return error;
	terminal_start(&terminal);
	for (int i = 0; !error && (options->count == FOREVER || i < options->count); i++) {
		due += options->delay * (int64_t)NS;
		wait_until(&terminal, due);
		if (stop)
			break;
		error = update(look, &last, options, &terminal, detail);
	}
	terminal_end(&terminal);
	top_sample_free(&last);
	return error;
}

/* An installed guard has all that is needed; else what counts is loaded, which is little, and goes with this process. */
static enum nestmig_error open_guard(struct look *look, struct nestmig_detail *detail)
{
	struct guard_options options = {.observe = true, .best_effort = true, .rate = GUARD_RATE};
	struct nm_guard_config config;
	enum nestmig_error error = nm_guard_open_pinned(GUARD_DIR, &look->guard, detail);

	if (error == NESTMIG_ERR_NOT_FOUND) {
		look->is_own = true;
		error = guard_start(&options, &look->guard, detail);
	}
	if (!error)
		error = nm_guard_settings(look->guard, &config, detail);
	if (!error)
		look->vendor = config.host.vendor;
	return error;
}

int cmd_top(const struct command *self, int argc, char **argv)
{
	struct top_options options = {.delay = DELAY, .count = -1};
	struct sigaction action = {.sa_handler = note_stop};
	struct nestmig_detail detail = {0};
	enum nestmig_error error;
	struct look look = {0};
	int code = parse_options(self, argc, argv, &options);

	if (code >= 0)
		return code;
	if (options.count < 0)
		options.count = isatty(STDOUT_FILENO) ? FOREVER : 1;
	error = guard_check_privilege(&detail);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!error)
		error = open_guard(&look, &detail);
	if (!error)
		error = watch(&look, &options, &detail);
	nm_guard_free(look.guard);
	return error ? cli_error(self, options.json, NULL, error, &detail) : EXIT_CLEAN;
}
