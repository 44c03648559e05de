// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig snapshot: a VM behind a QMP socket becomes an .nms file. What the guest has shaped passes through
 * unread; a process that talks to nobody parses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "domain_image.h"
#include "error.h"
#include "hostarg.h"
#include "jsontext.h"
#include "live.h"
#include "nms.h"
#include "options.h"
#include "qemu_features.h"
#include "snapshot.h"

#define FD_NAME    "nestmig-out"
#define PIECE_SIZE (1U << 20)
/* How long QEMU may take to answer migrate_cancel before it loses the pipe. */
#define CANCEL_MS 200
/* As good as no limit: the VM stops once, and the rest of RAM goes through in one pass. */
#define BANDWIDTH (INT64_C(1) << 40)
#define DOWNTIME  INT64_C(2000000)

struct snapshot {
	const struct command *self;
	const char *socket, *file, *host_argument;
	const char *domain, *uri; /* of --domain and --connect, or NULL */
	const char *about;        /* the file that an error is about */
	bool state_only, resume, json;
	int level, timeout_s;
	struct live live;
	struct nm_nms_writer *writer;
	struct tail *tail;
	json_t *cpus;
	struct nestmig_host *host;
	bool was_running, migrated;
	char run_state[32];
	size_t vcpus;
	uint64_t stream_bytes;
};

/* ---- The records ---------------------------------------------------------------------------- */

static enum nestmig_error add_source_record(struct snapshot *s, struct nestmig_detail *detail)
{
	const struct qmp_version *version = qmp_version(s->live.qmp);
	struct nm_nms_info info = {
		.kind = s->state_only ? NM_NMS_STATE_ONLY : NM_NMS_FULL,
		.tool = nestmig_version(),
		.run_state = s->run_state,
	};
	time_t now = time(NULL);
	struct tm utc;
	char when[32], qemu[64];

	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	snprintf(qemu, sizeof(qemu), "%d.%d.%d", version->major, version->minor, version->micro);
	info.time = when;
	info.qemu = qemu;
	return nm_nms_writer_add_source(s->writer, &info, detail);
}

/* The profile of this host, if this is a host. */
static enum nestmig_error add_host_record(struct snapshot *s, struct nestmig_detail *detail)
{
	enum nestmig_error error;
	char *text = NULL;

	if (!s->host)
		return NESTMIG_OK;
	error = nestmig_host_json(s->host, &text);
	if (error)
		return nm_fail(detail, error, "out of memory");
	error = nm_nms_writer_add_record(s->writer, NM_NMS_HOST, 0, text, strlen(text), detail);
	free(text);
	return error;
}

/* What QEMU tells of the CPU object, which the stream does not carry. */
static enum nestmig_error add_cpu_record(struct snapshot *s, uint32_t id,
					 struct nestmig_detail *detail)
{
	const json_t *cpu = live_cpu(s->cpus, id);
	enum nestmig_error error;
	char *text;

	if (!json_is_object(cpu))
		return NESTMIG_OK;
	text = json_dumps(cpu, JSON_COMPACT);
	if (!text)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	error = nm_nms_writer_add_record(s->writer, NM_NMS_QEMU_CPU, id, text, strlen(text),
					 detail);
	free(text);
	return error;
}

/* The vCPUs, then what QEMU has told of their CPUs. */
static enum nestmig_error add_state_records(struct snapshot *s, struct nestmig_detail *detail)
{
	uint32_t *ids = NULL;
	enum nestmig_error error =
		snapshot_vcpus(s->tail, s->file, s->writer, &ids, &s->vcpus, detail);

	for (size_t i = 0; !error && i < s->vcpus; i++)
		error = add_cpu_record(s, ids[i], detail);
	free(ids);
	return error;
}

static enum nestmig_error take_bytes(struct snapshot *s, const uint8_t *bytes, size_t length,
				     struct nestmig_detail *detail)
{
	tail_add(s->tail, bytes, length);
	s->stream_bytes += length;
	return nm_nms_writer_add_stream(s->writer, bytes, length, detail);
}

/* ---- Device state only ---------------------------------------------------------------------- */

/* QEMU opens /dev/fdset/N for writing, so the descriptor it is given must be just that. */
static enum nestmig_error save_to(struct snapshot *s, int fd, struct nestmig_detail *detail)
{
	json_t *reply = NULL, *none = json_object();
	enum nestmig_error error = NESTMIG_OK;
	json_int_t set = -1;
	char name[64];

	if (qmp_execute_fd(s->live.qmp, "add-fd", none, fd, LIVE_REPLY_MS, &reply))
		error = live_failed(&s->live, "add-fd", detail);
	else if (json_unpack(reply, "{s:I}", "fdset-id", &set))
		error = nm_fail(detail, NESTMIG_ERR_QMP, "the reply to add-fd has no \"fdset-id\"");
	json_decref(none);
	json_decref(reply);
	if (error)
		return error;
	snprintf(name, sizeof(name), "/dev/fdset/%lld", (long long)set);
	/* live=true, the default, would give up the image locks of a paused VM. */
	if (qmp_execute_pack(s->live.qmp, s->timeout_s * 1000, NULL, "xen-save-devices-state",
			     "{s:s, s:b}", "filename", name, "live", 0))
		error = live_failed(&s->live, "xen-save-devices-state", detail);
	/* Closes QEMU's copy; it has its own error only if the connection is gone. */
	if (qmp_execute_pack(s->live.qmp, LIVE_REPLY_MS, NULL, "remove-fd", "{s:I}", "fdset-id",
			     set) &&
	    !error)
		return live_failed(&s->live, "remove-fd", detail);
	return error;
}

static enum nestmig_error save_device_state(struct snapshot *s, struct nestmig_detail *detail)
{
	int memory = memfd_create("nestmig", MFD_CLOEXEC), for_writing;
	enum nestmig_error error;
	uint8_t piece[16384];
	char path[64];
	ssize_t n = 0;

	if (memory < 0)
		return nm_fail_errno(detail, "memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	for_writing = open(path, O_WRONLY | O_CLOEXEC);
	if (for_writing < 0) {
		error = nm_fail_errno(detail, "opening %s", path);
		close(memory);
		return error;
	}
	error = save_to(s, for_writing, detail);
	while (!error && (n = read(memory, piece, sizeof(piece))) > 0)
		error = take_bytes(s, piece, (size_t)n, detail);
	if (!error && n < 0)
		error = nm_fail_errno(detail, "reading the device state");
	close(for_writing);
	close(memory);
	return error;
}

/* ---- The whole VM --------------------------------------------------------------------------- */

static enum nestmig_error start_migration(struct snapshot *s, int *ret_pipe,
					  struct nestmig_detail *detail)
{
	json_t *name = json_pack("{s:s}", "fdname", FD_NAME);
	enum nestmig_error error = NESTMIG_OK;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		json_decref(name);
		return nm_fail_errno(detail, "pipe");
	}
	/* Fewer wake-ups; the default size does too. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIECE_SIZE);
	if (qmp_execute_fd(s->live.qmp, "getfd", name, ends[1], LIVE_REPLY_MS, NULL))
		error = live_failed(&s->live, "getfd", detail);
	json_decref(name);
	close(ends[1]);
	if (!error && qmp_execute_pack(s->live.qmp, LIVE_REPLY_MS, NULL, "migrate", "{s:s}", "uri",
				       "fd:" FD_NAME))
		error = live_failed(&s->live, "migrate", detail);
	if (error) {
		close(ends[0]);
		return error;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret_pipe = ends[0];
	return NESTMIG_OK;
}

/* One piece of the pipe into the snapshot. *ret_end: there is no more. */
static enum nestmig_error pump_piece(struct snapshot *s, int fd, uint8_t *piece, bool *ret_end,
				     struct nestmig_detail *detail)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int ready = poll(&wait, 1, s->timeout_s * 1000);
	ssize_t n;

	if (live_interrupted())
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted, nothing was saved");
	if (ready < 0 && errno != EINTR)
		return nm_fail_errno(detail, "poll");
	if (ready == 0)
		return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
			       "QEMU sent nothing for %d s after %" PRIu64 " bytes", s->timeout_s,
			       s->stream_bytes);
	n = read(fd, piece, PIECE_SIZE);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN
			       ? NESTMIG_OK
			       : nm_fail_errno(detail, "reading from QEMU");
	*ret_end = n == 0;
	live_progress("snapshot", s->stream_bytes, 0);
	return n ? take_bytes(s, piece, (size_t)n, detail) : NESTMIG_OK;
}

static enum nestmig_error pump(struct snapshot *s, int fd, struct nestmig_detail *detail)
{
	uint8_t *piece = malloc(PIECE_SIZE);
	enum nestmig_error error = NESTMIG_OK;
	bool end = false;

	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (!error && !end)
		error = pump_piece(s, fd, piece, &end, detail);
	live_progress_end();
	free(piece);
	return error;
}

/* The pipe is closed a moment before the migration is over. */
static enum nestmig_error wait_migrated(struct snapshot *s, struct nestmig_detail *detail)
{
	int64_t end = live_now() + s->timeout_s * 1000;
	enum nestmig_error error = live_query_migrate(&s->live, detail);

	while (!error && live_is_migrating(&s->live)) {
		if (live_now() > end)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "QEMU closed the stream, but its migration is still \"%s\"",
				       s->live.migration);
		usleep(20000);
		error = live_query_migrate(&s->live, detail);
	}
	if (error)
		return error;
	if (strcmp(s->live.migration, "completed") != 0)
		return nm_fail(detail, NESTMIG_ERR_QMP, "QEMU did not save the VM: %s%s%.300s",
			       s->live.migration, *s->live.error ? ": " : "", s->live.error);
	s->migrated = true;
	return NESTMIG_OK;
}

/*
 * Something failed here: QEMU is to stop as well. It then runs the VM on if it ran before. The pipe
 * stays open until QEMU answers, which must not take its end for a failure of its own; but not for
 * long: while QEMU sends the rest of RAM it waits for room in the pipe with its main loop locked,
 * the VM standing still, and nothing but the end of the pipe frees it. Closes fd.
 */
static void cancel_migration(struct snapshot *s, int fd)
{
	int64_t end = live_now() + LIVE_REPLY_MS;
	enum qmp_error error;
	uint64_t id = 0;

	error = qmp_send(s->live.qmp, "migrate_cancel", NULL, -1, CANCEL_MS, &id);
	if (!error)
		error = qmp_wait_reply(s->live.qmp, id, CANCEL_MS, NULL);
	close(fd);
	if (error == QMP_ERR_TIMEOUT && id)
		error = qmp_wait_reply(s->live.qmp, id, LIVE_REPLY_MS, NULL);
	if (error)
		return;
	while (live_query_migrate(&s->live, NULL) == NESTMIG_OK && live_is_migrating(&s->live) &&
	       live_now() < end)
		usleep(20000);
	s->migrated = strcmp(s->live.migration, "completed") == 0;
}

/* Sets the limits of bandwidth and downtime. */
static enum nestmig_error set_limits(struct snapshot *s, json_int_t bandwidth, json_int_t downtime,
				     struct nestmig_detail *detail)
{
	if (qmp_execute_pack(s->live.qmp, LIVE_REPLY_MS, NULL, "migrate-set-parameters",
			     "{s:I, s:I}", "max-bandwidth", bandwidth, "downtime-limit", downtime))
		return live_failed(&s->live, "migrate-set-parameters", detail);
	return NESTMIG_OK;
}

static enum nestmig_error save_whole(struct snapshot *s, struct nestmig_detail *detail)
{
	json_int_t bandwidth = 0, downtime = 0;
	enum nestmig_error error = NESTMIG_OK;
	json_t *before = NULL;
	int fd = -1;

	if (qmp_execute(s->live.qmp, "query-migrate-parameters", NULL, LIVE_REPLY_MS, &before))
		return live_failed(&s->live, "query-migrate-parameters", detail);
	if (json_unpack(before, "{s:I, s:I}", "max-bandwidth", &bandwidth, "downtime-limit",
			&downtime))
		error = nm_fail(detail, NESTMIG_ERR_QMP, "QEMU does not tell its migration limits");
	json_decref(before);
	if (!error)
		error = set_limits(s, BANDWIDTH, DOWNTIME, detail);
	if (error)
		return error;
	error = start_migration(s, &fd, detail);
	if (!error) {
		error = pump(s, fd, detail);
		if (error)
			cancel_migration(s, fd);
		else
			close(fd);
	}
	if (!error)
		error = wait_migrated(s, detail);
	/* Not worth failing for: the snapshot does not depend on it. */
	if (set_limits(s, bandwidth, downtime, NULL) && !live_is_gone(&s->live))
		fprintf(stderr, "nestmig snapshot: could not restore QEMU's migration limits\n");
	return error;
}

/* ---- The command ---------------------------------------------------------------------------- */

static enum nestmig_error check_vm(struct snapshot *s, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_query_status(&s->live, detail);

	if (!error)
		error = live_query_migrate(&s->live, detail);
	if (error)
		return error;
	if (live_is_migrating(&s->live))
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "a migration of this VM is \"%s\": wait for its end or cancel it",
			       s->live.migration);
	if (strcmp(s->live.status, "inmigrate") == 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "this QEMU waits for an incoming migration: it has no state yet");
	if (!s->state_only && strcmp(s->live.status, "postmigrate") == 0)
		return nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this VM has been stopped since it was saved or migrated, and QEMU saves "
			"it again only after `cont`; --state-only is possible");
	s->was_running = s->live.running;
	snprintf(s->run_state, sizeof(s->run_state), "%s", s->live.status);
	if (!s->state_only)
		error = live_check_capabilities(&s->live, detail);
	return error ? error : live_query_cpus(&s->live, &s->cpus, detail);
}

static enum nestmig_error take(struct snapshot *s, struct nestmig_detail *detail)
{
	enum nestmig_error error = add_source_record(s, detail);

	if (!error)
		error = add_host_record(s, detail);
	if (!error)
		error = s->state_only ? save_device_state(s, detail) : save_whole(s, detail);
	if (!error)
		error = nm_nms_writer_finish_stream(s->writer, detail);
	if (!error)
		error = add_state_records(s, detail);
	return error ? error : nm_nms_writer_commit(s->writer, detail);
}

/* After a full migration QEMU has stopped the VM. It runs on if it ran before and that is wanted,
 * or if there is no snapshot for it to go on from. A paused VM is never started. */
static enum nestmig_error give_back(struct snapshot *s, bool failed, struct nestmig_detail *detail)
{
	if (!s->migrated || !s->was_running || !(s->resume || failed))
		return NESTMIG_OK;
	if (qmp_execute(s->live.qmp, "cont", NULL, LIVE_REPLY_MS, NULL))
		return live_failed(&s->live, "cont", failed ? NULL : detail);
	return NESTMIG_OK;
}

static enum nestmig_error snapshot(struct snapshot *s, struct nestmig_detail *detail)
{
	enum nestmig_error error = live_open(&s->live, s->socket, detail), after;

	if (!error)
		error = check_vm(s, detail);
	if (!error)
		error = tail_new(&s->tail, detail);
	if (!error)
		error = nm_nms_writer_new(s->file, s->level, &s->writer, detail);
	if (error)
		return error;
	live_catch_signals(0);
	error = take(s, detail);
	after = give_back(s, error != NESTMIG_OK, detail);
	if (after && error)
		fprintf(stderr, "nestmig snapshot: the VM is left stopped: `cont` starts it\n");
	if (error)
		return error;
	if (!after && live_query_status(&s->live, NULL))
		snprintf(s->live.status, sizeof(s->live.status), "unknown");
	return after;
}

static void report(const struct snapshot *s)
{
	const struct nm_nms_progress *progress = nm_nms_writer_progress(s->writer);
	json_t *json;

	if (!s->json) {
		printf("%s: %s of %zu vCPU%s, %" PRIu64 " bytes of stream in %" PRIu64
		       " bytes; the VM is %s\n",
		       s->file, s->state_only ? "device state" : "whole VM", s->vcpus,
		       s->vcpus == 1 ? "" : "s", progress->stream_bytes, progress->file_bytes,
		       s->live.status);
		return;
	}
	json = json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:s, s:s}", "schema", "nestmig.snapshot/1",
			 "file", nm_json_text(s->file), "kind",
			 s->state_only ? "state-only" : "full", "vcpus", (json_int_t)s->vcpus,
			 "stream_bytes", (json_int_t)progress->stream_bytes, "file_bytes",
			 (json_int_t)progress->file_bytes, "was", s->run_state, "status",
			 s->live.status);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

/* What is left after the options: an exit code to end with, or -1 to go on. */
static int take_file(struct snapshot *s, int argc, char **argv)
{
	if (!s->socket == !s->domain || optind + 1 != argc)
		return cli_usage_error(s->self, "give --qmp SOCKET or --domain NAME and one file");
	if (s->domain ? s->state_only || s->resume : s->uri != NULL)
		return cli_usage_error(s->self, s->domain
							? "--state-only and --resume go with --qmp"
							: "--connect goes with --domain");
	s->file = argv[optind];
	s->about = s->file;
	return -1;
}

static int parse(struct snapshot *s, int argc, char **argv)
{
	static const struct option options[] = {{"qmp", required_argument, NULL, 'q'},
						{"domain", required_argument, NULL, 'd'},
						{"connect", required_argument, NULL, 'c'},
						{"state-only", no_argument, NULL, 's'},
						{"resume", no_argument, NULL, 'r'},
						{"host", required_argument, NULL, 'H'},
						{"level", required_argument, NULL, 'l'},
						{"timeout", required_argument, NULL, 't'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "q:d:c:srH:l:t:jh", options, NULL)) != -1) {
		switch (c) {
		case 'q':
			s->socket = optarg;
			break;
		case 'd':
			s->domain = optarg;
			break;
		case 'c':
			s->uri = optarg;
			break;
		case 's':
			s->state_only = true;
			break;
		case 'r':
			s->resume = true;
			break;
		case 'H':
			s->host_argument = optarg;
			break;
		case 'l':
			if (!option_number(optarg, NM_NMS_LEVEL_MIN, NM_NMS_LEVEL_MAX, &s->level))
				return cli_usage_error(s->self, "--level takes %d to %d",
						       NM_NMS_LEVEL_MIN, NM_NMS_LEVEL_MAX);
			break;
		case 't':
			if (!option_number(optarg, 1, 86400, &s->timeout_s))
				return cli_usage_error(s->self, "--timeout takes 1 to 86400 s");
			break;
		case 'j':
			s->json = true;
			break;
		case 'h':
			return cli_help(s->self);
		default:
			return cli_wrong_option(s->self);
		}
	}
	return take_file(s, argc, argv);
}

/* This machine runs the VM, unless the socket says or the user knows better. */
static enum nestmig_error source_host(struct snapshot *s, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (s->host_argument) {
		error = host_argument(s->host_argument, NULL, &s->host, detail);
		if (error)
			s->about =
				host_argument_is_live(s->host_argument) ? NULL : s->host_argument;
		return error;
	}
	if (strncmp(s->socket, "tcp:", 4) == 0)
		return NESTMIG_OK;
	error = nestmig_host_live(&s->host, detail);
	if (error && error != NESTMIG_ERR_CAPABILITY)
		fprintf(stderr, "nestmig snapshot: the profile of this host is left out: %s\n",
			detail->text);
	return NESTMIG_OK;
}

int cmd_snapshot(const struct command *self, int argc, char **argv)
{
	struct snapshot s = {.self = self, .level = NM_NMS_LEVEL_DEFAULT, .timeout_s = 30};
	struct nestmig_detail detail = {0};
	int status = parse(&s, argc, argv);
	enum nestmig_error error;

	if (status >= 0)
		return status;
	if (s.domain)
		return snapshot_domain(self,
				       &(struct domain_request){.domain = s.domain,
								.uri = s.uri,
								.file = s.file,
								.host_argument = s.host_argument,
								.json = s.json,
								.colour = cli_colour()});
	error = source_host(&s, &detail);
	if (!error)
		error = snapshot(&s, &detail);
	if (!error)
		report(&s);
	nm_nms_writer_free(s.writer);
	tail_free(s.tail);
	json_decref(s.cpus);
	nestmig_host_free(s.host);
	live_close(&s.live);
	return error ? cli_error(self, s.json, s.about, error, &detail) : EXIT_CLEAN;
}
