// SPDX-License-Identifier: GPL-2.0-or-later
/* nestmig gate, in the process that holds the connections: accepts, connects, and keeps what a dead relay left. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "error.h"
#include "gate.h"
#include "live.h"
#include "qemu.h"

/* How often progress and signals are looked for, ms. */
#define TICK_MS       200
#define WAITING       64

#define MULTIFD_MAGIC 0x11223344U /* MULTIFD_MAGIC of migration/multifd.h */
#define TLS_HANDSHAKE 0x16        /* RFC 8446, 5.1 */

/* A connection of which nothing is known yet, or one of multifd that waits for the stream. */
struct waiting {
	int fd;
	bool is_multifd;
	int64_t since; /* live_now */
};

struct session {
	struct gate_keeper *keeper;
	struct gate_shared *shared;
	struct apart relay, judge;
	int source, destination; /* of the stream; -1: it has not come yet */
	struct waiting waiting[WAITING];
	size_t waiting_count;
	bool has_given_up;
};

/* ---- Connections -------------------------------------------------------------------------------- */

static enum nestmig_error connect_for(struct session *s, int *ret_fd, struct nestmig_detail *detail)
{
	return gate_connect(s->keeper->connect, s->keeper->request->timeout_s, ret_fd, detail);
}

/* The processes. The judge must not have the memory that keeper and relay share. */
static enum nestmig_error start(struct session *s, struct nestmig_detail *detail)
{
	struct gate_relay_work work = {.request = s->keeper->request};
	enum nestmig_error error = apart_start(&s->judge, gate_judge,
					       (void *)(uintptr_t)s->keeper->request, -1, detail);

	if (error)
		return error;
	s->shared = mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->shared == MAP_FAILED) {
		s->shared = NULL;
		return nm_fail_errno(detail, "memory for the device state");
	}
	work.shared = s->shared;
	work.judge = s->judge.channel;
	error = apart_start_lasting(&s->relay, gate_relay, &work, work.judge, detail);
	if (!error && !gate_send_pair(s->relay.channel, s->source, s->destination))
		error = apart_failed(&s->relay, detail);
	return error;
}

static enum nestmig_error take_stream(struct session *s, int fd, struct nestmig_detail *detail)
{
	int destination = -1;
	enum nestmig_error error = connect_for(s, &destination, detail);

	if (error) {
		close(fd);
		return error;
	}
	s->source = fd;
	s->destination = destination;
	return start(s, detail);
}

static enum nestmig_error take_multifd(struct session *s, int fd, struct nestmig_detail *detail)
{
	int destination = -1;
	enum nestmig_error error = connect_for(s, &destination, detail);
	bool is_sent = !error && gate_send_pair(s->relay.channel, fd, destination);

	close(fd);
	if (error)
		return error;
	close(destination);
	/* A relay that has gone is seen on its channel. */
	(void)is_sent;
	return NESTMIG_OK;
}

static void refuse(int fd, const char *why)
{
	fprintf(stderr, "nestmig gate: a connection was refused: %s\n", why);
	close(fd);
}

/* By the first bytes, which stay. true: it need not wait any longer. */
static bool sort(struct session *s, struct waiting *w, enum nestmig_error *ret_error,
		 struct nestmig_detail *detail)
{
	uint8_t first[4];
	ssize_t n = recv(w->fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0 && first[0] == TLS_HANDSHAKE && s->source < 0) {
		close(w->fd);
		*ret_error =
			nm_fail(detail, NESTMIG_ERR_UNSUPPORTED,
				"the migration is encrypted (TLS): what cannot be read is not "
				"passed on. Use TLS on the way to the gate and behind it instead");
		return true;
	}
	if (n > 0 && n < (ssize_t)sizeof(first) && first[0] == NM_QEMU_MAGIC >> 24)
		return false;
	if (n == sizeof(first) && nm_be32(first) == NM_QEMU_MAGIC && s->source < 0)
		*ret_error = take_stream(s, w->fd, detail);
	else if (n == sizeof(first) && nm_be32(first) == NM_QEMU_MAGIC)
		refuse(w->fd, "a second stream while one is passed on");
	else if (n > 0 && first[0] == MULTIFD_MAGIC >> 24)
		w->is_multifd = true;
	else
		refuse(w->fd, "neither a migration stream of QEMU's nor a channel of multifd");
	return !w->is_multifd;
}

/* Who says nothing must not keep others out. */
static bool is_late(const struct session *s, const struct waiting *w)
{
	return live_now() - w->since > s->keeper->request->timeout_s * INT64_C(1000);
}

static enum nestmig_error look_at_waiting(struct session *s, struct nestmig_detail *detail)
{
	enum nestmig_error error = NESTMIG_OK;
	size_t kept = 0;

	for (size_t i = 0; i < s->waiting_count; i++) {
		struct waiting *w = &s->waiting[i];
		bool is_done = error || (!w->is_multifd && sort(s, w, &error, detail));

		if (is_done)
			continue;
		if (w->is_multifd && s->source >= 0)
			error = take_multifd(s, w->fd, detail);
		else if (is_late(s, w))
			refuse(w->fd, "no migration has come of it in time");
		else
			s->waiting[kept++] = *w;
	}
	s->waiting_count = kept;
	return error;
}

static void accept_one(struct session *s)
{
	int fd = accept4(s->keeper->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

	if (fd < 0)
		return;
	/* Fails for unix sockets. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (s->waiting_count == WAITING) {
		refuse(fd, "too many that have not said what they are");
		return;
	}
	s->waiting[s->waiting_count++] = (struct waiting){.fd = fd, .since = live_now()};
}

/* ---- The end ------------------------------------------------------------------------------------ */

/* The relay has died. */
static enum nestmig_error keep_on(struct session *s, struct nestmig_detail *detail)
{
	struct gate_result *result = &s->keeper->result;

	if (s->shared->phase != GATE_COMMITTED)
		return nm_fail(detail, NESTMIG_ERR_IO,
			       "the process that reads the stream has died: the connections were "
			       "cut, the source goes on");
	result->is_passed = 1;
	result->answer = gate_take_over(s->shared, s->source, s->destination);
	result->bytes = s->shared->passed;
	return nm_fail(detail, NESTMIG_ERR_IO,
		       "the process that reads the stream has died after the device state was "
		       "judged: the rest was sent all the same, and the destination %s",
		       result->answer == GATE_ANSWER_TAKEN ? "has taken the VM over"
							   : "has not said that it took it");
}

static enum nestmig_error take_result(struct session *s, struct nestmig_detail *detail)
{
	struct gate_result result;
	struct nestmig_detail own = {0};
	enum nestmig_error error = apart_get_error(&s->relay, &own);
	char *report = NULL;

	if (!apart_get(&s->relay, s->relay.channel, &result, sizeof(result)) ||
	    result.report_size > GATE_REPORT_MAX)
		return keep_on(s, detail);
	if (result.report_size)
		report = malloc((size_t)result.report_size + 1);
	if (report && apart_get(&s->relay, s->relay.channel, report, (size_t)result.report_size))
		report[result.report_size] = '\0';
	else if (report)
		return free(report), keep_on(s, detail);
	s->keeper->result = result;
	s->keeper->report = report;
	if (error)
		*detail = own;
	return error;
}

/* What the user wants now, once. */
static void give_up(struct session *s)
{
	s->has_given_up = true;
	if (s->shared->phase == GATE_COMMITTED)
		fputs("nestmig gate: the device state has gone on to the destination: it waits for "
		      "its answer\n",
		      stderr);
	else
		(void)apart_put(s->relay.channel, "x", 1);
}

static void end(struct session *s)
{
	for (size_t i = 0; i < s->waiting_count; i++)
		close(s->waiting[i].fd);
	if (s->source >= 0) {
		/* All that had to be said has been said. */
		(void)shutdown(s->source, SHUT_RDWR);
		(void)shutdown(s->destination, SHUT_RDWR);
		close(s->source);
		close(s->destination);
	}
	apart_end(&s->relay);
	apart_end(&s->judge);
	if (s->shared)
		munmap(s->shared, sizeof(*s->shared));
}

/* ---- Waiting ------------------------------------------------------------------------------------ */

/* *ret_is_over: the relay has a result, or has died. */
static enum nestmig_error turn(struct session *s, bool *ret_is_over, struct nestmig_detail *detail)
{
	struct pollfd polled[2 + WAITING];

	polled[0] = (struct pollfd){.fd = s->keeper->listener, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = s->relay.channel, .events = POLLIN};
	for (size_t i = 0; i < s->waiting_count; i++)
		polled[2 + i] = (struct pollfd){
			.fd = s->waiting[i].is_multifd ? -1 : s->waiting[i].fd, .events = POLLIN};
	if (poll(polled, 2 + s->waiting_count, TICK_MS) > 0) {
		if (polled[0].revents)
			accept_one(s);
		*ret_is_over = polled[1].revents != 0;
	}
	if (s->shared)
		live_progress("gate", s->shared->passed, 0);
	if (*ret_is_over)
		return NESTMIG_OK;
	if (live_interrupted() && s->source < 0)
		return nm_fail(detail, NESTMIG_ERR_CANCELLED, "interrupted");
	if (live_interrupted() && !s->has_given_up)
		give_up(s);
	return look_at_waiting(s, detail);
}

enum nestmig_error gate_keep(struct gate_keeper *keeper, struct nestmig_detail *detail)
{
	struct session s = {.keeper = keeper,
			    .relay = {.channel = -1},
			    .judge = {.channel = -1},
			    .source = -1,
			    .destination = -1};
	enum nestmig_error error = NESTMIG_OK;
	bool is_over = false;

	while (!error && !is_over)
		error = turn(&s, &is_over, detail);
	/* Whatever went wrong here, a relay that has committed goes on. */
	if (error && s.shared && s.shared->phase == GATE_COMMITTED)
		error = NESTMIG_OK;
	if (!error)
		error = take_result(&s, detail);
	live_progress_end();
	end(&s);
	return error;
}
