// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nestmig gate, in the process that reads the stream. The reader of formats/ pulls: when it asks for bytes that have
 * not come, what it has done with is sent on, and more is received. Of a page only the header is looked at, where it
 * stands in a buffer of 1 MiB that is filled by one read and sent by one write.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "gate_flow.h"
#include "live.h"
#include "qemu.h"
#include "qemu_follow.h"
#include "sandbox.h"

#define ROOM (4U << 20)
/* The most that is read at once. */
#define PIECE (1U << 20)
/* A stream without a vmdesc ends where a footer and the mark of the end are followed by nothing for so long, ms. */
#define QUIET_MS 200
/* How long a destination that has not said anything may read on, after the relay's death, s. */
#define TAKE_OVER_S 60

struct relay {
	const struct gate_request *request;
	struct gate_io io;
	struct nm_source *source;
	struct nm_qemu_follow *follow;
	struct gate_result result;
	char *report; /* of the judge's */
	uint8_t *buffer;
	uint64_t base; /* offset in the stream of buffer[0] */
	size_t have;
	uint64_t pin;      /* what stands from here on must not be sent yet */
	uint64_t kept;     /* up to here it has been copied to the state */
	bool keeps;        /* it is still to be: no part of RAM has come */
	size_t state_size; /* of io.shared->state */
	uint64_t held;     /* the offset in it of the devices */
	int64_t started_us;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- Bytes ------------------------------------------------------------------------------------- */

/* Why the relay should not go on, if so. */
static enum nestmig_error check(const struct relay *r, struct nestmig_detail *detail)
{
	if (r->io.is_given_up)
		return nm_fail(detail, NESTMIG_ERR_CANCELLED,
			       "interrupted: the connections were cut, the source goes on");
	if (r->io.is_over)
		return nm_fail(detail, NESTMIG_ERR_IO,
			       "the destination has closed the connection: its own error output "
			       "says why; the source goes on");
	return NESTMIG_OK;
}

static enum nestmig_error send_all(struct relay *r, const uint8_t *bytes, size_t size,
				   struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	bool is_first = true;

	while (size && !error) {
		ssize_t n = write(r->io.destination, bytes, size);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return nm_fail_errno(detail, "writing to the destination");
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
			r->io.shared->passed += (uint64_t)n;
		}
		if (size || is_first)
			gate_turn(&r->io, 0, size ? POLLOUT : 0, size ? -1 : 0);
		is_first = false;
		error = check(r, detail);
	}
	return error;
}

/*
 * Receives at most room bytes, waiting at most timeout_ms (-1: any time). *ret_size becomes 0 if none came.
 * Errors: TRUNCATED (the source has closed), and those of check.
 */
static enum nestmig_error receive(struct relay *r, uint8_t *bytes, size_t room, int timeout_ms,
				  size_t *ret_size, struct nestmig_detail *detail)
{
	*ret_size = 0;
	for (;;) {
		ssize_t n = read(r->io.source, bytes, room);
		enum nestmig_error error = check(r, detail);

		if (error)
			return error;
		if (n > 0) {
			*ret_size = (size_t)n;
			return NESTMIG_OK;
		}
		if (n == 0)
			return nm_fail(detail, NESTMIG_ERR_TRUNCATED,
				       "the source has closed the connection after %" PRIu64
				       " bytes: the migration has failed or was cancelled there",
				       r->base + r->have);
		if (errno != EAGAIN && errno != EINTR)
			return nm_fail_errno(detail, "reading from the source");
		if (!gate_turn(&r->io, POLLIN, 0, timeout_ms) && timeout_ms >= 0)
			return NESTMIG_OK;
	}
}

static enum nestmig_error keep(struct relay *r, const uint8_t *bytes, size_t size,
			       struct nestmig_detail *detail)
{
	if (size > GATE_STATE_MAX - r->state_size)
		return nm_fail(detail, NESTMIG_ERR_LIMIT,
			       "more than %" PRIu64 " MiB of device state: it cannot be held back",
			       GATE_STATE_MAX >> 20);
	memcpy(r->io.shared->state + r->state_size, bytes, size);
	r->state_size += size;
	return NESTMIG_OK;
}

/* What stands before RAM, up to offset, which has come. */
static enum nestmig_error keep_setup(struct relay *r, uint64_t offset,
				     struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;

	if (r->keeps && offset > r->kept)
		error = keep(r, r->buffer + (r->kept - r->base), (size_t)(offset - r->kept),
			     detail);
	r->kept = offset;
	return error;
}

/* Sends what is before offset and receives more. */
static enum nestmig_error advance(struct relay *r, uint64_t offset, struct nestmig_detail *detail)
{
	uint64_t limit = offset < r->pin ? offset : r->pin;
	size_t done = limit < r->base + r->have ? (size_t)(limit - r->base) : r->have, got = 0;
	enum nestmig_error error = keep_setup(r, r->base + done, detail);

	if (!error)
		error = send_all(r, r->buffer, done, detail);
	if (error)
		return error;
	memmove(r->buffer, r->buffer + done, r->have - done);
	r->base += done;
	r->have -= done;
	if (r->have == ROOM)
		return nm_fail_at(detail, NESTMIG_ERR_LIMIT, r->base,
				  "more than %u MiB before the first page of RAM", ROOM >> 20);
	error = receive(r, r->buffer + r->have, r->have + PIECE < ROOM ? PIECE : ROOM - r->have, -1,
			&got, detail);
	r->have += got;
	return error;
}

static enum nestmig_error relay_read(void *ctx, uint64_t offset, void *buffer, size_t length,
				     struct nestmig_detail *detail)
{
	struct relay *r = ctx;

	if (offset < r->base)
		return nm_fail_at(detail, NESTMIG_ERR_FORMAT, offset, "this has been sent on");
	while (offset + length > r->base + r->have) {
		enum nestmig_error error = advance(r, offset, detail);

		if (error)
			return error;
	}
	memcpy(buffer, r->buffer + (offset - r->base), length);
	return NESTMIG_OK;
}

static size_t relay_ready(void *ctx, uint64_t offset)
{
	const struct relay *r = ctx;
	uint64_t end = r->base + r->have;

	return offset < end && offset >= r->base ? (size_t)(end - offset) : 0;
}

static const struct nm_source_ops relay_ops = {
	.read = relay_read, .ready = relay_ready, .is_derived = true};

/* ---- Up to the devices ---------------------------------------------------------------------------- */

/* Before a section of RAM or of a device starts. */
static enum nestmig_error check_return_path(const struct relay *r, struct nestmig_detail *detail)
{
	if (r->result.return_path || r->request->one_way)
		return NESTMIG_OK;
	return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
		       "the stream opens no return path: the source would not wait for what the "
		       "destination says, and its VM would stand still after a cut. Set the "
		       "capability return-path on both sides, or see --one-way");
}

static enum nestmig_error check_command(struct relay *r, enum nm_qemu_passed passed,
					struct nestmig_detail *detail)
{
	if (passed == NM_QEMU_PASSED_COMMAND)
		return nm_fail(detail, NESTMIG_ERR_CAPABILITY,
			       "postcopy or COLO is on at the source: it would not go on after a "
			       "cut. Switch the capability off");
	if (passed == NM_QEMU_PASSED_RETURN_PATH)
		r->result.return_path = 1;
	return NESTMIG_OK;
}

/*
 * One element. A command is sent when it has been understood. Of all else is sent what has been read: with multifd
 * QEMU waits in the middle of the first section until the destination has seen the end of its records.
 */
static enum nestmig_error relay_element(struct relay *r, enum nm_qemu_next next,
					struct nestmig_detail *detail)
{
	enum nm_qemu_passed passed = NM_QEMU_PASSED_OTHER;
	enum nestmig_error error = NESTMIG_OK;

	if (next == NM_QEMU_NEXT_START)
		error = check_return_path(r, detail);
	r->pin = next == NM_QEMU_NEXT_COMMAND ? nm_qemu_follow_offset(r->follow) : UINT64_MAX;
	if (!error && next == NM_QEMU_NEXT_PART)
		error = keep_setup(r, nm_qemu_follow_offset(r->follow), detail);
	r->keeps &= next != NM_QEMU_NEXT_PART;
	if (!error)
		error = nm_qemu_follow_pass(r->follow, &passed, detail);
	return error ? error : check_command(r, passed, detail);
}

/* Until the devices come. */
static enum nestmig_error relay_ram(struct relay *r, struct nestmig_detail *detail)
{
	enum nm_qemu_next next = NM_QEMU_NEXT_START;
	enum nestmig_error error;

	r->keeps = true;
	error = nm_qemu_follow_new(r->source, &r->follow, detail);
	while (!error) {
		r->pin = nm_qemu_follow_offset(r->follow);
		error = nm_qemu_follow_next(r->follow, &next, detail);
		if (!error && next == NM_QEMU_NEXT_DEVICES)
			return keep_setup(r, nm_qemu_follow_offset(r->follow), detail);
		if (!error)
			error = relay_element(r, next, detail);
	}
	return error;
}

/* ---- The devices ---------------------------------------------------------------------------------- */

/* What has come of them goes to the state, behind an end of RAM; what is before them is sent. */
static enum nestmig_error start_holding(struct relay *r, struct nestmig_detail *detail)
{
	uint64_t offset = nm_qemu_follow_offset(r->follow);
	size_t before = (size_t)(offset - r->base);
	uint8_t end[NM_QEMU_END_MAX];
	enum nestmig_error error = keep(r, end, nm_qemu_follow_end(r->follow, end), detail);

	r->io.shared->phase = GATE_HOLDING;
	r->held = r->state_size;
	if (!error)
		error = send_all(r, r->buffer, before, detail);
	if (!error)
		error = keep(r, r->buffer + before, r->have - before, detail);
	return error;
}

/* Where the tail starts, if the devices could end with what has come. *ret_sure: they do. */
static bool find_tail(const struct relay *r, uint64_t *ret_tail, bool *ret_sure)
{
	const uint8_t *bytes = r->io.shared->state;
	size_t size = (size_t)(r->state_size - r->held), vmdesc = 0;

	if (nm_qemu_find_vmdesc(bytes + r->held, size, &vmdesc)) {
		*ret_tail = r->held + vmdesc - 1;
		*ret_sure = true;
		return true;
	}
	*ret_tail = r->state_size - 1;
	*ret_sure = false;
	return nm_qemu_may_end(bytes + r->held, size);
}

/* Receives more of the devices; none: nothing came in time. */
static enum nestmig_error hold_more(struct relay *r, int timeout_ms, size_t *ret_size,
				    struct nestmig_detail *detail)
{
	size_t room = (size_t)(GATE_STATE_MAX - r->state_size);
	enum nestmig_error error;

	if (!room)
		return keep(r, r->buffer, 1, detail);
	error = receive(r, r->io.shared->state + r->state_size, room < PIECE ? room : PIECE,
			timeout_ms, ret_size, detail);
	r->state_size += *ret_size;
	return error;
}

/* Until the devices are whole. */
static enum nestmig_error hold(struct relay *r, uint64_t *ret_tail, struct nestmig_detail *detail)
{
	for (;;) {
		bool sure = false, may_end = find_tail(r, ret_tail, &sure);
		int timeout_ms = may_end ? QUIET_MS : r->request->timeout_s * 1000;
		enum nestmig_error error;
		size_t got = 0;

		if (sure)
			return NESTMIG_OK;
		error = hold_more(r, timeout_ms, &got, detail);
		if (error && !(error == NESTMIG_ERR_TRUNCATED && may_end && r->request->one_way))
			return error;
		if (may_end && !got)
			return NESTMIG_OK;
		if (!got)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "the source has sent no more of the device state for %d s",
				       r->request->timeout_s);
	}
}

static enum nestmig_error take_verdict(struct relay *r, struct nestmig_detail *detail)
{
	struct apart judge = {.channel = r->io.judge};
	enum nestmig_error error = apart_get_error(&judge, detail);
	struct gate_verdict verdict;

	if (error)
		return error;
	if (!apart_get(NULL, judge.channel, &verdict, sizeof(verdict)) ||
	    verdict.report_size > GATE_REPORT_MAX)
		return apart_failed(&judge, detail);
	free(r->report);
	r->report = malloc((size_t)verdict.report_size + 1);
	if (!r->report)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	if (!apart_get(NULL, judge.channel, r->report, (size_t)verdict.report_size))
		return apart_failed(&judge, detail);
	r->result.report_size = verdict.report_size;
	r->result.verdict = verdict.verdict;
	r->result.is_judged = 1;
	return NESTMIG_OK;
}

/* Has more come from the source, or has it closed? With a return path that means that it has given up. */
static enum nestmig_error check_source(struct relay *r, bool *ret_has_more,
				       struct nestmig_detail *detail)
{
	uint8_t byte;
	ssize_t n = recv(r->io.source, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	*ret_has_more = n > 0;
	if (n > 0 || (n < 0 && errno == EAGAIN) || r->request->one_way)
		return NESTMIG_OK;
	return nm_fail(detail, NESTMIG_ERR_TRUNCATED,
		       "the source has closed the connection before the devices went on: the "
		       "migration was cancelled there, or its QEMU has ended");
}

/* Judges the devices; *ret_is_final: nothing more has come meanwhile. */
static enum nestmig_error judge(struct relay *r, int judge_channel, bool *ret_is_final,
				struct nestmig_detail *detail)
{
	int64_t start = now_us(), end = live_now() + r->request->timeout_s * INT64_C(1000);
	uint64_t size = r->state_size;
	enum nestmig_error error = NESTMIG_OK;
	struct pollfd ready = {.fd = judge_channel, .events = POLLIN};
	bool has_more = false;

	if (!apart_put(judge_channel, &size, sizeof(size)) ||
	    !apart_put(judge_channel, r->io.shared->state, (size_t)size))
		return nm_fail(detail, NESTMIG_ERR_IO, "the process that judges has ended");
	r->io.judge = judge_channel;
	while (!error && poll(&ready, 1, 0) == 0) {
		if (live_now() > end)
			return nm_fail(detail, NESTMIG_ERR_TIMEOUT,
				       "the device state could not be judged in %d s",
				       r->request->timeout_s);
		gate_turn(&r->io, 0, 0, 100);
		error = check(r, detail);
	}
	if (!error)
		error = take_verdict(r, detail);
	r->io.judge = -1;
	r->result.judged_us = now_us() - start;
	if (!error)
		error = check_source(r, &has_more, detail);
	*ret_is_final = !has_more;
	return error;
}

static bool is_refused(const struct relay *r)
{
	return r->result.verdict == NESTMIG_VERDICT_FAIL ||
	       (r->result.verdict == NESTMIG_VERDICT_UNKNOWN && r->request->strict);
}

/* The devices but the tail, then the tail. */
static enum nestmig_error commit(struct relay *r, uint64_t tail, struct nestmig_detail *detail)
{
	struct gate_shared *shared = r->io.shared;
	bool has_more = false;
	enum nestmig_error error =
		send_all(r, shared->state + r->held, (size_t)(tail - r->held), detail);

	if (!error)
		error = check_source(r, &has_more, detail);
	if (!error && has_more)
		error = nm_fail(detail, NESTMIG_ERR_FORMAT,
				"the stream goes on behind what looked like its end: cut");
	if (error)
		return error;
	shared->sent = tail;
	shared->end = r->state_size;
	shared->phase = GATE_COMMITTED;
	r->result.is_passed = 1;
	return gate_finish(&r->io, r->request->timeout_s, detail);
}

static enum nestmig_error relay_devices(struct relay *r, int judge_channel,
					struct nestmig_detail *detail)
{
	enum nestmig_error error = start_holding(r, detail);
	int64_t start = now_us();
	bool is_final = false;
	uint64_t tail = 0;

	while (!error && !is_final) {
		error = hold(r, &tail, detail);
		if (!error)
			error = judge(r, judge_channel, &is_final, detail);
		if (!error && !is_final)
			error = hold_more(r, r->request->timeout_s * 1000, &(size_t){0}, detail);
	}
	r->result.held_us = now_us() - start;
	r->result.held_bytes = r->state_size - r->held;
	r->result.relayed_us = start - r->started_us;
	if (error || is_refused(r))
		return error;
	return commit(r, tail, detail);
}

/* ---- The work ------------------------------------------------------------------------------------- */

static enum nestmig_error start(struct relay *r, int channel, struct nestmig_detail *detail)
{
	struct sandbox sandbox = {.is_paced = true, .has_sockets = true};
	enum nestmig_error error;

	/* The keeper decides what a signal of the terminal's means. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	error = sandbox_enter(&sandbox, detail);
	if (!error && !gate_receive_pair(channel, &r->io.source, &r->io.destination))
		error = nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
	if (error)
		return error;
	r->started_us = now_us();
	r->buffer = malloc(ROOM);
	if (!r->buffer)
		return nm_fail(detail, NESTMIG_ERR_NOMEM, "out of memory");
	return nm_source_new(&relay_ops, r, UINT64_MAX / 2, &r->source, detail);
}

static void answer(struct relay *r, int channel, enum nestmig_error error,
		   const struct nestmig_detail *detail)
{
	r->result.bytes = r->io.shared->passed;
	r->result.answer = r->io.answer;
	r->result.connections = (uint32_t)(1 + r->io.pair_count);
	if (apart_put_error(channel, error, detail) &&
	    apart_put(channel, &r->result, sizeof(r->result)) && r->report)
		(void)apart_put(channel, r->report, (size_t)r->result.report_size);
}

void gate_relay(void *ctx, int channel)
{
	const struct gate_relay_work *work = ctx;
	struct relay *r = calloc(1, sizeof(*r));
	struct nestmig_detail detail = {0};
	enum nestmig_error error;

	if (!r)
		return;
	r->request = work->request;
	r->io = (struct gate_io){.shared = work->shared,
				 .channel = channel,
				 .judge = -1,
				 .source = -1,
				 .destination = -1};
	error = start(r, channel, &detail);
	if (!error)
		error = relay_ram(r, &detail);
	if (!error)
		error = relay_devices(r, work->judge, &detail);
	gate_cut(&r->io);
	answer(r, channel, error, &detail);
	nm_qemu_follow_free(r->follow);
	nm_source_free(r->source);
	free(r->buffer);
	free(r->report);
	free(r);
}

enum gate_answer gate_take_over(struct gate_shared *shared, int source, int destination)
{
	struct gate_io io = {.shared = shared,
			     .channel = -1,
			     .judge = -1,
			     .source = source,
			     .destination = destination};
	struct nestmig_detail detail = {0};

	if (gate_finish(&io, TAKE_OVER_S, &detail))
		io.answer = GATE_ANSWER_NONE;
	return io.answer;
}
