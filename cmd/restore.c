// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig restore: a snapshot or stream into a QEMU that waits with -incoming defer. This process talks to
 * QEMU; one that does not parses, judges and sends (restore_file.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain_image.h"
#include "error.h"
#include "hostarg.h"
#include "jsontext.h"
#include "live.h"
#include "options.h"
#include "restore.h"

#define FD_NAME    "nestmig-in"
#define PIECE_SIZE (1U << 20)

/* More than the longest report there is: of 4096 vCPUs. */
#define REPORT_MAX (UINT64_C(64) << 20)

struct restore {
	const struct command *self;
	struct restore_request request;
	const char *socket, *host_argument; /* host_argument: NULL if not given */
	const char *domain, *uri;           /* of --domain and --connect, or NULL */
	const char *about;                  /* the file that an error is about */
	int timeout_s, watch_s;
	struct live live;
	struct nestmig_host *host;
	char machine[64];
	json_t *cpus;
	struct apart apart;
	struct restore_answer answer;
	char *report;
	int pipe[2];    /* the stream: QEMU's end, and that of the process apart; or -1 */
	bool gone;      /* QEMU has closed the connection */
	json_t *events; /* names of events since the VM was loaded */
};

/* ---- Judging -------------------------------------------------------------------------------- */

static enum nestmig_error check_target(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_query_status(&r->live, detail);

	if (error)
		return error;
	if (strcmp(r->live.status, "inmigrate") != 0)
		return nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this QEMU is \"%s\": start one with -incoming defer to restore into",
			r->live.status);
	error = live_check_capabilities(&r->live, detail);
	if (!error)
		error = live_query_cpus(&r->live, &r->cpus, detail);
	if (error)
		return error;
	r->request.cpus = r->cpus;
	if (live_machine(&r->live, r->machine, sizeof(r->machine)))
		r->request.machine = r->machine;
	return NESTMIG_OK;
}

/* All that is needed of this machine and of QEMU, before a byte of the file is looked at. */
static enum nestmig_error prepare(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	error = host_argument(r->host_argument ? r->host_argument : "live", NULL, &r->host, detail);
	if (error) {
		r->about = r->host_argument && !host_argument_is_live(r->host_argument)
				   ? r->host_argument
				   : NULL;
		return error;
	}
	r->request.host = r->host;
	error = live_open(&r->live, r->socket, detail);
	if (!error)
		error = check_target(r, detail);
	if (error)
		return error;
	if (pipe2(r->pipe, O_CLOEXEC) < 0)
		return nm_fail_errno(detail, "pipe");
	(void)fcntl(r->pipe[1], F_SETPIPE_SZ, PIECE_SIZE);
	fcntl(r->pipe[1], F_SETFL, O_NONBLOCK);
	r->request.pipe = r->pipe[1];
	error = apart_start(&r->apart, restore_file, &r->request, r->pipe[1], detail);
	close(r->pipe[1]);
	r->pipe[1] = -1;
	return error;
}

/* The file as it was judged. */
static enum nestmig_error take_answer(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error = apart_get_error(&r->apart, detail);
	struct restore_answer *answer = &r->answer;

	if (error)
		return error;
	if (!apart_get(&r->apart, r->apart.channel, answer, sizeof(*answer)) ||
	    answer->report_size > REPORT_MAX)
		return apart_failed(&r->apart, detail);
	r->report = malloc((size_t)answer->report_size + 1);
	if (!r->report)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!apart_get(&r->apart, r->apart.channel, r->report, (size_t)answer->report_size))
		return apart_failed(&r->apart, detail);
	r->report[answer->report_size] = '\0';
	return NESTMIG_OK;
}

/* ---- Sending -------------------------------------------------------------------------------- */

static enum nestmig_error start_incoming(struct restore *r, struct nestmig_detail *detail)
{
	json_t *name = json_pack("{s:s}", "fdname", FD_NAME);
	enum nestmig_error error = NESTMIG_OK;

	if (qmp_execute_fd(r->live.qmp, "getfd", name, r->pipe[0], LIVE_REPLY_MS, NULL))
		error = live_failed(&r->live, "getfd", detail);
	json_decref(name);
	close(r->pipe[0]);
	r->pipe[0] = -1;
	if (!error && qmp_execute_pack(r->live.qmp, LIVE_REPLY_MS, NULL, "migrate-incoming",
				       "{s:s}", "uri", "fd:" FD_NAME))
		error = live_failed(&r->live, "migrate-incoming", detail);
	return error;
}

/* ---- Watching ------------------------------------------------------------------------------- */

static void note_events(struct restore *r)
{
	json_t *event;

	while ((event = qmp_take_event(r->live.qmp))) {
		const char *name = qmp_event_name(event);

		if (name)
			json_array_append_new(r->events, json_string(name));
		json_decref(event);
	}
}

static bool has_event(const struct restore *r, const char *name)
{
	const json_t *event;
	size_t i;

	json_array_foreach (r->events, i, event)
		if (strcmp(json_string_value(event), name) == 0)
			return true;
	return false;
}

/* The status of QEMU, "gone" if it has ended. */
static enum nestmig_error ask_status(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_query_status(&r->live, detail);

	note_events(r);
	if (!error || !live_is_gone(&r->live))
		return error;
	r->gone = true;
	snprintf(r->live.status, sizeof(r->live.status), "gone");
	return NESTMIG_OK;
}

/* Until the VM is no longer "inmigrate", then for watch_s more. */
static enum nestmig_error watch(struct restore *r, struct nestmig_detail *detail)
{
	int64_t end = live_now() + r->timeout_s * 1000;
	enum nestmig_error error = ask_status(r, detail);

	while (!error && !r->gone && strcmp(r->live.status, "inmigrate") == 0) {
		if (live_interrupted())
			return nm_fail(detail, NESTMIG_ERR_CANCELLED,
				       "interrupted: QEMU has the whole stream and is loading it");
		if (live_now() > end)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "QEMU has the whole stream, but is still loading after %d s",
				       r->timeout_s);
		usleep(20000);
		error = ask_status(r, detail);
	}
	if (r->gone && !has_event(r, "RESUME"))
		return nm_fail(detail, NESTMIG_ERR_QMP,
			       "QEMU took all %" PRIu64
			       " bytes and ended without running the VM: its "
			       "own error output says why it refused the state",
			       r->answer.total);
	end = live_now() + r->watch_s * 1000;
	while (!error && !r->gone && live_now() < end && !live_interrupted()) {
		usleep(50000);
		error = ask_status(r, detail);
	}
	return error;
}

/* Does the VM run, or wait as it did when it was saved? One that was reset runs, but from anew. */
static bool is_well(const struct restore *r)
{
	static const char *const well[] = {"running",   "paused",      "prelaunch",
					   "suspended", "postmigrate", "finish-migrate"};

	if (has_event(r, "RESET"))
		return false;
	for (size_t i = 0; i < sizeof(well) / sizeof(well[0]); i++)
		if (strcmp(r->live.status, well[i]) == 0)
			return true;
	return false;
}

/* ---- The command ---------------------------------------------------------------------------- */

static enum nestmig_error restore(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error = start_incoming(r, detail);

	if (error)
		return error;
	live_catch_signals(0);
	qmp_flush_events(r->live.qmp);
	if (!apart_put(r->apart.channel, "", 1))
		error = apart_failed(&r->apart, detail);
	if (!error)
		error = apart_get_error(&r->apart, detail);
	apart_end(&r->apart);
	return error ? error : watch(r, detail);
}

/* Run state and events of the restored VM. */
static void print_restored(const struct restore *r)
{
	const char *separator = "Events: ";
	const json_t *event;
	size_t i;

	cli_put_name(stdout, r->request.file);
	printf(": restored, the VM is ");
	cli_put_name(stdout, r->live.status);
	putchar('\n');
	json_array_foreach (r->events, i, event) {
		fputs(separator, stdout);
		cli_put_name(stdout, json_string_value(event));
		separator = ", ";
	}
	if (json_array_size(r->events))
		putchar('\n');
	if (has_event(r, "RESET"))
		puts("The VM was reset: it does not go on from what was saved.");
}

/* The judgement and, unless it was refused, the result. */
static enum nestmig_error print_result(struct restore *r)
{
	bool refused = r->answer.is_refused;
	json_t *json;

	if (!r->request.json) {
		cli_print(r->report);
		r->report = NULL;
		if (!refused) {
			print_restored(r);
			return NESTMIG_OK;
		}
		cli_put_name(stdout, r->request.file);
		puts(": refused, nothing was sent; --force restores it all the same");
		return NESTMIG_OK;
	}
	json = json_pack("{s:s, s:o, s:b, s:s?, s:O, s:o?}", "schema", "nestmig.restore/1", "file",
			 nm_json_text(r->request.file), "restored", refused ? 0 : 1, "status",
			 refused ? NULL : r->live.status, "events", r->events, "report",
			 json_loads(r->report, 0, NULL));
	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

/* What is left after the options: an exit code to end with, or -1 to go on. */
static int take_file(struct restore *r, int argc, char **argv)
{
	if (!r->socket == !r->domain || optind + 1 != argc)
		return cli_usage_error(r->self, "give --qmp SOCKET or --domain NAME and one file");
	if (r->domain ? r->request.snapshot != NULL : r->uri != NULL)
		return cli_usage_error(r->self, r->domain ? "--snapshot goes with --qmp"
							  : "--connect goes with --domain");
	r->request.file = argv[optind];
	r->request.timeout_s = r->timeout_s;
	r->about = r->request.file;
	return -1;
}

static int parse(struct restore *r, int argc, char **argv)
{
	static const struct option options[] = {{"qmp", required_argument, NULL, 'q'},
						{"host", required_argument, NULL, 'H'},
						{"domain", required_argument, NULL, 'd'},
						{"connect", required_argument, NULL, 'c'},
						{"snapshot", required_argument, NULL, 'n'},
						{"force", no_argument, NULL, 'f'},
						{"strict", no_argument, NULL, 's'},
						{"watch", required_argument, NULL, 'w'},
						{"timeout", required_argument, NULL, 't'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "q:d:c:H:n:fw:t:jh", options, NULL)) != -1) {
		switch (c) {
		case 'q':
			r->socket = optarg;
			break;
		case 'd':
			r->domain = optarg;
			break;
		case 'c':
			r->uri = optarg;
			break;
		case 'H':
			r->host_argument = optarg;
			break;
		case 'n':
			r->request.snapshot = optarg;
			break;
		case 'f':
			r->request.force = true;
			break;
		case 's':
			r->request.strict = true;
			break;
		case 'w':
			if (!option_number(optarg, 0, 3600, &r->watch_s))
				return cli_usage_error(r->self, "--watch takes 0 to 3600 s");
			break;
		case 't':
			if (!option_number(optarg, 1, 86400, &r->timeout_s))
				return cli_usage_error(r->self, "--timeout takes 1 to 86400 s");
			break;
		case 'j':
			r->request.json = true;
			break;
		case 'h':
			return cli_help(r->self);
		default:
			return cli_wrong_option(r->self);
		}
	}
	return take_file(r, argc, argv);
}

int cmd_restore(const struct command *self, int argc, char **argv)
{
	struct restore r = {.self = self,
			    .request = {.colour = cli_colour()},
			    .timeout_s = 30,
			    .watch_s = 1,
			    .apart = {.channel = -1},
			    .pipe = {-1, -1},
			    .events = json_array()};
	struct nestmig_detail detail = {0};
	int status = parse(&r, argc, argv);
	enum nestmig_error error = NESTMIG_OK;

	if (status < 0 && r.domain)
		status = restore_domain(self,
					&(struct domain_request){.domain = r.domain,
								 .uri = r.uri,
								 .file = r.request.file,
								 .host_argument = r.host_argument,
								 .force = r.request.force,
								 .strict = r.request.strict,
								 .json = r.request.json,
								 .colour = cli_colour()});
	else if (status < 0) {
		error = prepare(&r, &detail);
		if (!error)
			error = take_answer(&r, &detail);
		if (!error && !r.answer.is_refused)
			error = restore(&r, &detail);
		if (!error)
			error = print_result(&r);
		status = r.answer.is_refused || !is_well(&r) ? EXIT_FINDINGS : EXIT_CLEAN;
		if (error)
			status = cli_error(self, r.request.json, r.about, error, &detail);
	}
	apart_end(&r.apart);
	if (r.pipe[0] >= 0)
		close(r.pipe[0]);
	free(r.report);
	json_decref(r.cpus);
	nestmig_host_free(r.host);
	json_decref(r.events);
	live_close(&r.live);
	return status;
}
