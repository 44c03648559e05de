// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate: what passes without being looked at, and the end. */
#include "gate_flow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "error.h"
#include "live.h"

#define FORWARD_ROOM (256U << 10)
#define BACK_ROOM    4096U

/* ---- What the destination says ------------------------------------------------------------------ */

#define RP_SHUT 1 /* MIG_RP_MSG_SHUT: be32, 0 if the destination has taken the VM over */

/* Notes the answer. */
static void note_message(struct gate_io *io)
{
	const struct gate_messages *m = &io->messages;

	if (nm_be16(m->head) == RP_SHUT && nm_be16(m->head + 2) == 4)
		io->answer = nm_be32(m->head + 4) ? GATE_ANSWER_REFUSED : GATE_ANSWER_TAKEN;
}

static void follow_messages(struct gate_io *io, const uint8_t *bytes, size_t size)
{
	struct gate_messages *m = &io->messages;

	for (size_t i = 0; i < size; i++) {
		if (m->have < 4) {
			m->head[m->have++] = bytes[i];
			m->left = m->have == 4 ? nm_be16(m->head + 2) : 0;
		} else {
			if (m->have < sizeof(m->head))
				m->head[m->have++] = bytes[i];
			m->left--;
		}
		if (m->have >= 4 && m->left == 0) {
			note_message(io);
			memset(m, 0, sizeof(*m));
		}
	}
}

/* Who dies in between has not taken what has not been sent: gate.h. */
static void pass_back(struct gate_io *io)
{
	uint8_t bytes[BACK_ROOM];
	ssize_t n = recv(io->destination, bytes, sizeof(bytes), MSG_PEEK), sent;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		io->is_over = true;
		return;
	}
	sent = write(io->source, bytes, (size_t)n);
	io->is_back_blocked = sent < 0 && errno == EAGAIN;
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A source that has gone: nobody is to be told. */
	n = recv(io->destination, bytes, (size_t)(sent < 0 ? n : sent), 0);
	if (n > 0)
		follow_messages(io, bytes, (size_t)n);
}

/* ---- multifd ----------------------------------------------------------------------------------- */

static void end_pair(struct gate_pair *pair)
{
	if (pair->source < 0)
		return;
	close(pair->source);
	close(pair->destination);
	free(pair->forward.bytes);
	free(pair->back.bytes);
	*pair = (struct gate_pair){.source = -1,
				   .destination = -1,
				   .forward = {.from = -1, .to = -1},
				   .back = {.from = -1, .to = -1}};
}

static void end_flow(struct gate_flow *flow)
{
	(void)shutdown(flow->to, SHUT_WR);
	flow->from = flow->to = -1;
}

/* Bytes passed. */
static uint64_t pass(struct gate_flow *flow, size_t room)
{
	ssize_t n;

	if (flow->at == flow->have) {
		n = read(flow->from, flow->bytes, room);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0) {
			end_flow(flow);
			return 0;
		}
		flow->at = 0;
		flow->have = (size_t)n;
	}
	n = write(flow->to, flow->bytes + flow->at, flow->have - flow->at);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		(void)shutdown(flow->from, SHUT_RD);
		end_flow(flow);
	}
	if (n <= 0)
		return 0;
	flow->at += (size_t)n;
	return (uint64_t)n;
}

static void take_pair(struct gate_io *io)
{
	struct gate_pair *pair = &io->pairs[io->pair_count];
	int source, destination;

	if (!gate_receive_pair(io->channel, &source, &destination) ||
	    io->pair_count == GATE_CONNECTIONS) {
		io->is_given_up = true;
		return;
	}
	*pair = (struct gate_pair){
		.source = source,
		.destination = destination,
		.forward = {.from = source, .to = destination, .bytes = malloc(FORWARD_ROOM)},
		.back = {.from = destination, .to = source, .bytes = malloc(BACK_ROOM)},
	};
	io->pair_count++;
	if (!pair->forward.bytes || !pair->back.bytes)
		end_pair(pair);
}

/* ---- Waiting ----------------------------------------------------------------------------------- */

enum { POLL_SOURCE, POLL_DESTINATION, POLL_CHANNEL, POLL_JUDGE, POLL_FLOWS };

static struct pollfd wait_flow(const struct gate_flow *flow)
{
	bool full = flow->at < flow->have;

	return (struct pollfd){.fd = full ? flow->to : flow->from,
			       .events = full ? POLLOUT : POLLIN};
}

static void use_pairs(struct gate_io *io, const struct pollfd *polled)
{
	for (size_t i = 0; i < io->pair_count; i++) {
		struct gate_pair *pair = &io->pairs[i];

		if (pair->source < 0)
			continue;
		if (polled[2 * i].revents && pair->forward.from >= 0)
			io->shared->passed += pass(&pair->forward, FORWARD_ROOM);
		if (polled[2 * i + 1].revents && pair->back.from >= 0)
			(void)pass(&pair->back, BACK_ROOM);
		if (pair->forward.from < 0 && pair->back.from < 0)
			end_pair(pair);
	}
}

bool gate_turn(struct gate_io *io, short source, short destination, int timeout_ms)
{
	struct pollfd polled[POLL_FLOWS + 2 * GATE_CONNECTIONS];
	size_t pairs = io->pair_count;

	source = (short)(source | (io->is_back_blocked ? POLLOUT : 0));
	if (!io->is_back_blocked)
		destination |= POLLIN;
	/* A side that is closed would be ready all the time. */
	polled[POLL_SOURCE] = (struct pollfd){.fd = source ? io->source : -1, .events = source};
	polled[POLL_DESTINATION] = (struct pollfd){
		.fd = io->is_over || !destination ? -1 : io->destination, .events = destination};
	polled[POLL_CHANNEL] =
		(struct pollfd){.fd = io->is_given_up ? -1 : io->channel, .events = POLLIN};
	polled[POLL_JUDGE] = (struct pollfd){.fd = io->judge, .events = POLLIN};
	for (size_t i = 0; i < pairs; i++) {
		polled[POLL_FLOWS + 2 * i] = wait_flow(&io->pairs[i].forward);
		polled[POLL_FLOWS + 2 * i + 1] = wait_flow(&io->pairs[i].back);
	}
	if (poll(polled, POLL_FLOWS + 2 * pairs, timeout_ms) <= 0)
		return false;
	if (io->is_back_blocked ? polled[POLL_SOURCE].revents & (POLLOUT | POLLERR | POLLHUP)
				: polled[POLL_DESTINATION].revents & (POLLIN | POLLERR | POLLHUP))
		pass_back(io);
	use_pairs(io, polled + POLL_FLOWS);
	if (polled[POLL_CHANNEL].revents)
		take_pair(io);
	return true;
}

void gate_cut(struct gate_io *io)
{
	for (size_t i = 0; i < io->pair_count; i++)
		end_pair(&io->pairs[i]);
	/* Also what the keeper holds of them. */
	if (io->source >= 0) {
		(void)shutdown(io->destination, SHUT_RDWR);
		(void)shutdown(io->source, SHUT_RDWR);
		close(io->destination);
		close(io->source);
	}
	io->source = io->destination = -1;
}

/* ---- The end ----------------------------------------------------------------------------------- */

/* Has the source sent more than the tail? */
static bool goes_on(const struct gate_io *io)
{
	uint8_t byte;

	return recv(io->source, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A source that has closed: so it goes on to the destination. false: there is nothing more to be seen. */
static bool watch_source(const struct gate_io *io)
{
	uint8_t byte;
	ssize_t n = recv(io->source, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		(void)shutdown(io->destination, SHUT_WR);
	return false;
}

static enum nestmig_error send_tail(struct gate_io *io, struct nestmig_detail *detail)
{
	struct gate_shared *shared = io->shared;
	uint64_t at = shared->sent, end = shared->end;
	ssize_t n;

	n = write(io->destination, shared->state + at, (size_t)(end - at));
	if (n >= 0) {
		shared->sent = at + (uint64_t)n;
		shared->passed += (uint64_t)n;
		return NESTMIG_OK;
	}
	if (errno == EAGAIN || errno == EINTR)
		return NESTMIG_OK;
	return nm_fail_errno(detail, "sending the end of the stream to the destination");
}

/*
 * A destination that has the tail says SHUT and closes. If the tail was none, because a guest has made a device look
 * like it, the destination still reads a device: it gets no more, and when it has said nothing for so long all
 * is cut, and the source goes on. Otherwise nothing is cut here: the destination may run the guest.
 */
enum nestmig_error gate_finish(struct gate_io *io, int timeout_s, struct nestmig_detail *detail)
{
	struct gate_shared *shared = io->shared;
	int64_t deadline = live_now() + timeout_s * INT64_C(1000);
	enum nestmig_error error = NESTMIG_OK;
	bool is_watched = true;

	if (shared->end > GATE_STATE_MAX || shared->sent > shared->end)
		return nm_fail(detail, NESTMIG_ERR_INVALID, "the tail is not inside of the state");
	while (!error && !io->is_over) {
		bool has_more;

		if (shared->sent < shared->end)
			error = send_tail(io, detail);
		has_more = shared->sent < shared->end;
		if (!error && !io->answer && live_now() > deadline && goes_on(io))
			error = nm_fail(detail, NESTMIG_ERR_FORMAT,
					"the stream goes on behind what looked like its end, and "
					"the destination has not taken it: cut");
		if (!error)
			gate_turn(io, is_watched && !has_more ? POLLIN : 0, has_more ? POLLOUT : 0,
				  1000);
		if (is_watched && !has_more)
			is_watched = watch_source(io);
	}
	return error;
}
