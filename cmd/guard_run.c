// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig guard run: events as they come, until a signal. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "guard_command.h"

#define POLL_MS         500 /* at most so long until a signal that came before the poll is seen */
#define METRICS_SECONDS 10
#define NS              1000000000

static volatile sig_atomic_t stop;

static void note_stop(int number)
{
	(void)number;
	stop = 1;
}

struct runner {
	const struct command *self;
	const struct guard_options *options;
	struct nm_guard *guard;
	struct guard_reader reader;
	bool to_journal;
	enum nestmig_error error; /* of what was told */
	struct nestmig_detail detail;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

bool guard_process_name(uint32_t pid, char *name, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, name, size - 1);
	close(fd);
	name[length > 0 ? length : 0] = 0;
	return length > 0;
}

static enum nestmig_error print(struct runner *runner, const struct guard_told *told)
{
	enum nestmig_error error;
	char *text;

	if (runner->to_journal)
		return guard_to_journal(told, &runner->detail);
	error = runner->options->json ? guard_told_json(told, &text)
				      : guard_told_text(told, cli_colour(), &text);
	if (error)
		return nm_fail(&runner->detail, error, "out of memory");
	cli_print(text);
	if (fflush(stdout))
		return nm_fail_errno(&runner->detail, "writing to standard output");
	return NESTMIG_OK;
}

static enum nestmig_error tell_as(struct runner *runner, const struct nm_guard_event *event,
				  const struct nm_guard_record *record, bool advisory)
{
	char name[GUARD_NAME_SIZE];
	bool is_known = guard_process_name(event->pid, name, sizeof(name));
	struct guard_told *told;
	enum nestmig_error error;

	if (guard_told_new(&runner->reader, event, record, is_known ? name : NULL, advisory, &told))
		return nm_fail(&runner->detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = print(runner, told);
	guard_told_free(told);
	return error;
}

static int tell(const struct nm_guard_event *event, const struct nm_guard_record *record,
		void *data)
{
	struct runner *runner = data;

	runner->error = tell_as(runner, event, record, false);
	if (!runner->error && guard_is_advisory(event))
		runner->error = tell_as(runner, event, NULL, true);
	return runner->error != NESTMIG_OK;
}

static enum nestmig_error write_metrics(const struct runner *runner, struct nestmig_detail *detail)
{
	struct guard_status status;
	enum nestmig_error error;
	char *text = NULL;

	if (!runner->options->metrics)
		return NESTMIG_OK;
	error = guard_status_read(runner->guard, &status, detail);
	if (error)
		return error;
	error = guard_status_metrics(&status, &text);
	if (!error)
		error = cli_write_file(runner->options->metrics, text, 0644, detail);
	free(text);
	guard_status_free(&status);
	return error;
}

static enum nestmig_error watch(struct runner *runner, struct nestmig_detail *detail)
{
	int64_t due = clock_ns(CLOCK_MONOTONIC) + METRICS_SECONDS * (int64_t)NS;
	enum nestmig_error error = NESTMIG_OK;

	while (!stop && !error) {
		error = nm_guard_poll(runner->guard, POLL_MS, tell, runner, detail);
		runner->reader.epoch = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
		if (clock_ns(CLOCK_MONOTONIC) < due)
			continue;
		due += METRICS_SECONDS * (int64_t)NS;
		/* A disk that is full for a while is no reason to let the guard go. */
		if (!error && write_metrics(runner, detail))
			cli_error(runner->self, false, runner->options->metrics, NESTMIG_ERR_IO,
				  detail);
	}
	/* What came before the signal, and the last counters. */
	if (!error)
		error = nm_guard_poll(runner->guard, 0, tell, runner, detail);
	if (error == NESTMIG_ERR_CANCELLED) {
		*detail = runner->detail;
		return runner->error;
	}
	return error ? error : write_metrics(runner, detail);
}

static void announce(const struct runner *runner, const struct nm_guard_config *config,
		     bool is_installed)
{
	if (config->enforce)
		fprintf(stderr, "nestmig guard: mode enforce, %zu programs%s\n",
			nm_guard_programs(runner->guard), is_installed ? ", installed" : "");
	else
		fprintf(stderr, "nestmig guard: mode audit, %zu programs%s%s\n",
			nm_guard_programs(runner->guard), is_installed ? ", installed" : "",
			config->lsm ? "" : "; nothing can be denied here: no BPF LSM");
	sd_notify(0, "READY=1");
}

/* An installed guard is read; else one is loaded that goes with this process. */
static enum nestmig_error open_guard(struct runner *runner, bool *ret_installed,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = nm_guard_open_pinned(GUARD_DIR, &runner->guard, detail);

	*ret_installed = !error;
	if (error == NESTMIG_ERR_NOT_FOUND)
		error = guard_start(runner->options, &runner->guard, detail);
	return error;
}

static enum nestmig_error run(struct runner *runner, struct nestmig_detail *detail)
{
	const struct guard_options *options = runner->options;
	struct nm_guard_config config;
	enum nestmig_error error;
	bool is_installed;

	error = open_guard(runner, &is_installed, detail);
	if (!error)
		error = nm_guard_settings(runner->guard, &config, detail);
	if (error)
		return error;
	if (is_installed && options->has_mode && config.enforce != options->enforce)
		return nm_fail(detail, NESTMIG_ERR_INVALID,
			       "a guard is installed, in mode %s: it has to be removed first",
			       config.enforce ? "enforce" : "audit");
	runner->reader = (struct guard_reader){
		.vendor = config.host.vendor,
		.epoch = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC),
	};
	error = guard_warn(runner->self, runner->guard, &config, detail);
	if (!error)
		error = write_metrics(runner, detail);
	if (error)
		return error;
	announce(runner, &config, is_installed);
	return watch(runner, detail);
}

int guard_run(const struct command *self, const struct guard_options *options)
{
	struct runner runner = {
		.self = self, .options = options, .to_journal = guard_has_journal()};
	struct sigaction action = {.sa_handler = note_stop};
	struct nestmig_detail detail = {0};
	enum nestmig_error error;

	/* From here on: loading takes seconds, and what is loaded must go the regular way. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	error = run(&runner, &detail);
	nm_guard_free(runner.guard);
	return error ? cli_error(self, options->json, NULL, error, &detail) : EXIT_CLEAN;
}
