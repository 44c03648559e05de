// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig restore, in the process that parses: reads and judges the file, and sends the stream. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cpus.h"
#include "error.h"
#include "live.h"
#include "nms.h"
#include "restore.h"
#include "sandbox.h"
#include "source.h"
#include "state.h"

#define PIECE_SIZE (1U << 20)

struct sender {
	const struct restore_request *request;
	struct nestmig_state *state;
	struct nestmig_report *report;
	uint64_t done, total;
};

/* ---- Judging -------------------------------------------------------------------------------- */

/* Streams that QEMU does not take from a pipe, or not without a capability that nestmig lets no target have. */
static const struct {
	const char *capability, *text;
} not_sent[] = {
	{"mapped-ram",
	 "RAM is stored with mapped-ram: it is read at offsets in the file, which a pipe does not "
	 "have. QEMU 9.0 and later load such a file themselves (migrate-incoming from "
	 "\"file:PATH\" with the capability mapped-ram), a libvirt image `virsh restore`"},
	{"x-ignore-shared",
	 "shared RAM is not in the stream (x-ignore-shared): a QEMU with the same memory file and "
	 "that capability loads it, and of that memory nestmig knows nothing"},
	{"postcopy-ram", "the stream was made with postcopy-ram: what of RAM was fetched after it "
			 "is not in it, and "
			 "QEMU refuses it where that capability is off"},
};

static enum nestmig_error check_stream(const struct nestmig_state *state, const char *machine,
				       struct nestmig_detail *detail)
{
	if (!state->stream)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "a %s holds no migration stream, which is all that QEMU loads",
			       state->format);
	if (strcmp(state->format, "qemu-device-state") == 0 || !state->machine)
		return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
			       "the file holds device state without guest memory, which no VM can "
			       "be restored from");
	for (size_t i = 0; i < sizeof(not_sent) / sizeof(not_sent[0]); i++)
		if (state->capability && strcmp(state->capability, not_sent[i].capability) == 0)
			return nm_fail(detail, NESTMIG_ERR_UNSUPPORTED, "%s", not_sent[i].text);
	if (machine && strcmp(machine, state->machine) != 0)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "the state is of a machine \"%s\", and this QEMU has a \"%.64s\": "
			       "start it with -M %s",
			       state->machine, machine, state->machine);
	return NESTMIG_OK;
}

static enum nestmig_error judge(struct sender *s, struct nestmig_detail *detail)
{
	const struct restore_request *request = s->request;
	struct sandbox sandbox = {.paths = &request->file, .count = 1, .is_paced = true};
	enum nestmig_error error = sandbox_enter(&sandbox, detail);

	if (!error)
		error = nestmig_state_read_named(request->file, 0, request->snapshot, &s->state,
						 detail);
	if (!error)
		error = check_stream(s->state, request->machine, detail);
	/* Whatever wrote the file: it is QEMU that restores it. */
	if (!error)
		error = nestmig_state_set_restore_order(s->state, "qemu", detail);
	if (!error)
		error = cpus_take(s->state, s->request->cpus, detail);
	return error ? error : nestmig_judge(s->state, request->host, &s->report);
}

static enum nestmig_error make_report(const struct sender *s, char **ret_text)
{
	return s->request->json ? nestmig_report_json(s->report, s->request->file, ret_text)
				: nestmig_report_text(s->report, s->request->file,
						      s->request->colour, ret_text);
}

/* Tells what has become of the file. true: it is to be sent. */
static bool answer(struct sender *s, int channel)
{
	struct restore_answer answer = {0};
	struct nestmig_detail detail = {0};
	enum nestmig_error error = judge(s, &detail);
	char *report = NULL;
	bool is_told;

	if (!error)
		error = make_report(s, &report);
	if (!apart_put_error(channel, error, &detail) || error)
		return false;
	s->total = nm_source_size(s->state->stream);
	answer.total = s->total;
	answer.is_refused = cli_refuses(nestmig_report_verdict(s->report), s->request->strict,
					s->request->force);
	answer.report_size = strlen(report);
	is_told = apart_put(channel, &answer, sizeof(answer)) &&
		  apart_put(channel, report, answer.report_size);
	free(report);
	return is_told && !answer.is_refused;
}

/* ---- Sending -------------------------------------------------------------------------------- */

static enum nestmig_error lost(struct sender *s, struct nestmig_detail *detail)
{
	return nm_fail(detail, NESTMIG_ERR_QMP,
		       "QEMU stopped reading after %" PRIu64 " of %" PRIu64
		       " bytes: its own error output says why it refused the state",
		       s->done, s->total);
}

/* A sink for pieces of the stream: QEMU may take its time, but must go on taking. */
static enum nestmig_error send_piece(void *ctx, uint64_t offset, const uint8_t *bytes,
				     size_t length, struct nestmig_detail *detail)
{
	struct sender *s = ctx;

	(void)offset;
	while (length > 0) {
		struct pollfd wait = {.fd = s->request->pipe, .events = POLLOUT};
		int ready = poll(&wait, 1, s->request->timeout_s * 1000);
		ssize_t n;

		if (live_interrupted())
			return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
		if (ready == 0)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "QEMU took nothing for %d s after %" PRIu64 " bytes",
				       s->request->timeout_s, s->done);
		n = ready < 0 ? -1 : write(s->request->pipe, bytes, length);
		if (n < 0 && errno == EPIPE)
			return lost(s, detail);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return nm_fail_errno(detail, "writing to QEMU");
		if (n < 0)
			continue;
		s->done += (uint64_t)n;
		bytes += n;
		length -= (size_t)n;
		live_progress("restore", s->done, s->total);
	}
	return NESTMIG_OK;
}

/* A plain stream has no chunks and no checksums. */
static enum nestmig_error send_plain(struct sender *s, struct nestmig_detail *detail)
{
	uint8_t *piece = malloc(PIECE_SIZE);
	enum nestmig_error error = NESTMIG_OK;
	uint64_t offset = 0;

	if (!piece)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	while (!error && offset < s->total) {
		size_t here =
			s->total - offset < PIECE_SIZE ? (size_t)(s->total - offset) : PIECE_SIZE;

		error = nm_source_read(s->state->stream, offset, piece, here, detail);
		if (!error)
			error = send_piece(s, offset, piece, here, detail);
		offset += here;
	}
	free(piece);
	return error;
}

/* The file that was judged is the one that is sent: it has stayed open. */
static enum nestmig_error send_stream(struct sender *s, struct nestmig_detail *detail)
{
	struct nm_nms *nms = NULL;
	enum nestmig_error error;

	if (strcmp(s->state->format, "nms") != 0)
		return send_plain(s, detail);
	error = nm_nms_open(s->state->sources[0], NESTMIG_READ_SKIP_RAM_CHECKSUM, &nms, detail);
	if (!error)
		error = nm_nms_stream_each(nms, send_piece, s, detail);
	nm_nms_free(nms);
	return error;
}

void restore_file(void *ctx, int channel)
{
	const struct restore_request *request = ctx;
	struct sender sender = {.request = request};
	struct nestmig_detail detail = {0};
	enum nestmig_error error;
	char go;

	if (answer(&sender, channel) && apart_get(NULL, channel, &go, sizeof(go))) {
		live_catch_signals(0);
		error = send_stream(&sender, &detail);
		live_progress_end();
		/* End of stream for QEMU; after a failure, a short stream that it refuses. */
		close(request->pipe);
		(void)apart_put_error(channel, error, &detail);
	}
	nestmig_report_free(sender.report);
	nestmig_state_free(sender.state);
}
