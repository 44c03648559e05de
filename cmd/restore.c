// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig restore: a snapshot or stream into a QEMU that waits with -incoming defer. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "hostarg.h"
#include "jsontext.h"
#include "live.h"
#include "nms.h"
#include "options.h"
#include "qemu_features.h"
#include "source.h"

#define FD_NAME    "nestmig-in"
#define PIECE_SIZE (1U << 20)

struct restore {
	const struct command *self;
	const char *socket, *file, *host_argument;
	const char *about; /* the file that an error is about */
	bool force, strict, json;
	int timeout_s, watch_s;
	struct live live;
	struct nestmig_state *state;
	struct nestmig_host *host;
	struct nestmig_report *report;
	int pipe;  /* the end that is written to, or -1 */
	bool sent; /* QEMU has begun to load */
	bool gone; /* QEMU has closed the connection since */
	uint64_t done, total;
	json_t *events; /* names of events since the VM was loaded */
};

/* ---- Judging -------------------------------------------------------------------------------- */

/* The guest's CPUID is that of the QEMU which will run it. */
static enum nestmig_error take_cpus(struct restore *r, struct nestmig_detail *detail)
{
	struct nm_origin origin = {.layout = NM_LAYOUT_NONE};
	json_t *cpus = NULL;
	enum nestmig_error error = live_query_cpus(&r->live, &cpus, detail);

	for (size_t i = 0; !error && i < r->state->vcpu_count; i++) {
		struct nm_vcpu *vcpu = &r->state->vcpus[i];
		const json_t *cpu = live_cpu(cpus, vcpu->id);

		if (!cpu)
			error = nm_fail(detail, NESTMIG_ERR_CAPABILITY,
					"the state has vCPU %u, but this QEMU has only %zu: start "
					"it with the same -smp",
					vcpu->id, json_object_size(cpus));
		else if (json_is_object(cpu))
			error = nm_qemu_features(vcpu, cpu, origin, detail);
		else /* That of the source would be a guess. */
			vcpu->view.have &= ~NESTMIG_HAVE(CPUID);
	}
	if (!error && json_object_size(cpus) > r->state->vcpu_count)
		error = nm_fail(
			detail, NESTMIG_ERR_CAPABILITY,
			"this QEMU has %zu vCPUs, but the state only %zu: start it with the "
			"same -smp",
			json_object_size(cpus), r->state->vcpu_count);
	json_decref(cpus);
	return error;
}

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
	if (!r->state->stream || strcmp(r->state->format, "qemu-device-state") == 0 ||
	    !r->state->machine)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "the file holds device state without guest memory, which no VM can "
			       "be restored from");
	error = live_check_capabilities(&r->live, detail);
	return error ? error : take_cpus(r, detail);
}

static enum nestmig_error judge(struct restore *r, struct nestmig_detail *detail)
{
	enum nestmig_error error = nestmig_state_read(r->file, 0, &r->state, detail);

	/* Whatever wrote the file: it is QEMU that restores it. */
	if (!error)
		error = nestmig_state_set_restore_order(r->state, "qemu", detail);
	if (error)
		return error;
	error = host_argument(r->host_argument, r->state, &r->host, detail);
	if (error) {
		r->about = host_argument_is_live(r->host_argument) ? NULL : r->host_argument;
		return error;
	}
	error = live_open(&r->live, r->socket, detail);
	if (!error)
		error = check_target(r, detail);
	return error ? error : nestmig_judge(r->state, r->host, &r->report);
}

static bool is_refused(const struct restore *r)
{
	enum nestmig_verdict verdict = nestmig_report_verdict(r->report);

	if (r->force)
		return false;
	return verdict == NESTMIG_VERDICT_FAIL || (verdict == NESTMIG_VERDICT_UNKNOWN && r->strict);
}

/* ---- Sending -------------------------------------------------------------------------------- */

static enum nestmig_error lost(struct restore *r, struct nestmig_detail *detail)
{
	r->gone = true;
	return nm_fail(detail, NESTMIG_ERR_QMP,
		       "QEMU stopped reading after %" PRIu64 " of %" PRIu64
		       " bytes: its own error output says why it refused the state",
		       r->done, r->total);
}

/* A sink for pieces of the stream: QEMU may take its time, but must go on taking. */
static enum nestmig_error send_piece(void *ctx, uint64_t offset, const uint8_t *bytes,
				     size_t length, struct nestmig_detail *detail)
{
	struct restore *r = ctx;

	(void)offset;
	while (length > 0) {
		struct pollfd wait = {.fd = r->pipe, .events = POLLOUT};
		int ready = poll(&wait, 1, r->timeout_s * 1000);
		ssize_t n;

		if (live_interrupted())
			return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
		if (ready == 0)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "QEMU took nothing for %d s after %" PRIu64 " bytes",
				       r->timeout_s, r->done);
		n = ready < 0 ? -1 : write(r->pipe, bytes, length);
		if (n < 0 && errno == EPIPE)
			return lost(r, detail);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return nm_fail_errno(detail, "writing to QEMU");
		if (n < 0)
			continue;
		r->done += (uint64_t)n;
		bytes += n;
		length -= (size_t)n;
		live_progress("restore", r->done, r->total);
	}
	return NESTMIG_OK;
}

/* A plain stream has no chunks and no checksums. */
static enum nestmig_error send_plain(struct restore *r, struct nestmig_detail *detail)
{
	uint8_t *piece = malloc(PIECE_SIZE);
	enum nestmig_error error = NESTMIG_OK;
	uint64_t offset = 0;

	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (!error && offset < r->total) {
		size_t here =
			r->total - offset < PIECE_SIZE ? (size_t)(r->total - offset) : PIECE_SIZE;

		error = nm_source_read(r->state->stream, offset, piece, here, detail);
		if (!error)
			error = send_piece(r, offset, piece, here, detail);
		offset += here;
	}
	free(piece);
	return error;
}

/* The file that was judged is the one that is sent: it has stayed open. */
static enum nestmig_error send_stream(struct restore *r, struct nestmig_detail *detail)
{
	struct nm_nms *nms = NULL;
	enum nestmig_error error;

	r->total = nm_source_size(r->state->stream);
	if (strcmp(r->state->format, "nms") != 0)
		return send_plain(r, detail);
	error = nm_nms_open(r->state->sources[0], NESTMIG_READ_SKIP_RAM_CHECKSUM, &nms, detail);
	if (!error)
		error = nm_nms_stream_each(nms, send_piece, r, detail);
	nm_nms_free(nms);
	return error;
}

static enum nestmig_error start_incoming(struct restore *r, struct nestmig_detail *detail)
{
	json_t *name = json_pack("{s:s}", "fdname", FD_NAME);
	enum nestmig_error error = NESTMIG_OK;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		json_decref(name);
		return nm_fail_errno(detail, "pipe");
	}
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIECE_SIZE);
	if (qmp_execute_fd(r->live.qmp, "getfd", name, ends[0], LIVE_REPLY_MS, NULL))
		error = live_failed(&r->live, "getfd", detail);
	json_decref(name);
	close(ends[0]);
	if (!error && qmp_execute_pack(r->live.qmp, LIVE_REPLY_MS, NULL, "migrate-incoming",
				       "{s:s}", "uri", "fd:" FD_NAME))
		error = live_failed(&r->live, "migrate-incoming", detail);
	if (error) {
		close(ends[1]);
		return error;
	}
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	r->pipe = ends[1];
	r->sent = true;
	return NESTMIG_OK;
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
			       r->total);
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
	live_catch_signals();
	qmp_flush_events(r->live.qmp);
	error = send_stream(r, detail);
	live_progress_end();
	/* End of stream for QEMU; after a failure, a short stream that it refuses. */
	close(r->pipe);
	r->pipe = -1;
	return error ? error : watch(r, detail);
}

static enum nestmig_error print_report(const struct restore *r, char **ret_json)
{
	enum nestmig_error error;
	char *text = NULL;

	if (r->json)
		return nestmig_report_json(r->report, r->file, ret_json);
	error = nestmig_report_text(r->report, r->file, cli_colour(), &text);
	if (!error)
		cli_print(text);
	return error;
}

/* Run state and events of the restored VM. */
static void print_restored(const struct restore *r)
{
	const char *separator = "Events: ";
	const json_t *event;
	size_t i;

	cli_put_name(stdout, r->file);
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
static enum nestmig_error print_result(const struct restore *r, bool refused)
{
	char *report = NULL;
	enum nestmig_error error = print_report(r, &report);
	json_t *json;

	if (error)
		return error;
	if (!r->json) {
		if (!refused) {
			print_restored(r);
			return NESTMIG_OK;
		}
		cli_put_name(stdout, r->file);
		puts(": refused, nothing was sent; --force restores it all the same");
		return NESTMIG_OK;
	}
	json = json_pack("{s:s, s:o, s:b, s:s?, s:O, s:o?}", "schema", "nestmig.restore/1", "file",
			 nm_json_text(r->file), "restored", refused ? 0 : 1, "status",
			 refused ? NULL : r->live.status, "events", r->events, "report",
			 json_loads(report, 0, NULL));
	free(report);
	if (!json)
		return NESTMIG_ERR_NOMEM;
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return NESTMIG_OK;
}

static int parse(struct restore *r, int argc, char **argv)
{
	static const struct option options[] = {{"qmp", required_argument, NULL, 'q'},
						{"host", required_argument, NULL, 'H'},
						{"force", no_argument, NULL, 'f'},
						{"strict", no_argument, NULL, 's'},
						{"watch", required_argument, NULL, 'w'},
						{"timeout", required_argument, NULL, 't'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "q:H:fw:t:jh", options, NULL)) != -1) {
		switch (c) {
		case 'q':
			r->socket = optarg;
			break;
		case 'H':
			r->host_argument = optarg;
			break;
		case 'f':
			r->force = true;
			break;
		case 's':
			r->strict = true;
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
			r->json = true;
			break;
		case 'h':
			return cli_help(r->self);
		default:
			return cli_wrong_option(r->self);
		}
	}
	if (!r->socket || optind + 1 != argc)
		return cli_usage_error(r->self, "give --qmp SOCKET and one file");
	r->file = argv[optind];
	r->about = r->file;
	return -1;
}

int cmd_restore(const struct command *self, int argc, char **argv)
{
	struct restore r = {.self = self,
			    .host_argument = "live",
			    .timeout_s = 30,
			    .watch_s = 1,
			    .pipe = -1,
			    .events = json_array()};
	struct nestmig_detail detail = {0};
	int status = parse(&r, argc, argv);
	enum nestmig_error error = NESTMIG_OK;
	bool refused = false;

	if (status < 0) {
		error = judge(&r, &detail);
		refused = !error && is_refused(&r);
		if (!error && !refused)
			error = restore(&r, &detail);
		if (!error)
			error = print_result(&r, refused);
		status = refused || !is_well(&r) ? EXIT_FINDINGS : EXIT_CLEAN;
		if (error)
			status = cli_error(self, r.json, r.about, error, &detail);
	}
	nestmig_report_free(r.report);
	nestmig_host_free(r.host);
	nestmig_state_free(r.state);
	json_decref(r.events);
	live_close(&r.live);
	return status;
}
