// SPDX-License-Identifier: LGPL-2.1-or-later
/* libqmp under stress: signals, full sockets, floods, many commands, servers that cost. */
#include "testing/qmp_mock.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>

/* --- signals ------------------------------------------------------------------------------ */

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
	(void)number;
	alarms++;
}

static void slow_answers(struct mock *m)
{
	sigset_t all;
	char id[64];

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	mock_sleep_ms(SHORT_MS);
	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	mock_sleep_ms(SHORT_MS);
	mock_reply(m, id, "return", "{}");
	mock_silence(m);
}

/* Interrupted all the time, everything works and waits as long as it should. */
START_TEST(interrupted)
{
	struct sigaction action = {.sa_handler = count_alarm};
	struct itimerval fast = {{0, 500}, {0, 500}};
	struct itimerval off = {{0, 0}, {0, 0}};
	int64_t start;
	struct mock m;
	struct qmp *q;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &fast, NULL);
	q = mock_open(&m, slow_answers, NULL);
	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, NULL));
	start = mock_now_ms();
	ck_assert_int_eq(qmp_wait_event(q, "STOP", SHORT_MS, NULL), QMP_ERR_TIMEOUT);
	ck_assert_int_ge(mock_now_ms() - start, SHORT_MS);
	ck_assert_int_lt(mock_now_ms() - start, LONG_MS);
	setitimer(ITIMER_REAL, &off, NULL);
	ck_assert_int_gt(alarms, 5);
	mock_stop(&m, q);
}
END_TEST

static void last_words(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
	mock_say(m, MOCK_EVENT("SHUTDOWN"));
}

/* Sending to a server that has gone: no SIGPIPE, and its last event is not lost. */
START_TEST(no_sigpipe)
{
	struct mock m;
	struct qmp *q = mock_open(&m, last_words, NULL);

	signal(SIGPIPE, SIG_DFL);
	pthread_join(m.thread, NULL);
	ck_assert_int_eq(qmp_execute(q, "query", NULL, LONG_MS, NULL), QMP_ERR_CLOSED);
	assert_text(q, "closed the connection: did QEMU exit? (while sending 'query')");
	assert_event(qmp_take_event(q), "SHUTDOWN");
	qmp_free(q);
}
END_TEST

/* --- full sockets and floods -------------------------------------------------------------- */

static json_t *big_arguments(size_t length)
{
	char *text = malloc(length + 1);
	json_t *arguments;

	memset(text, 'x', length);
	text[length] = 0;
	arguments = json_pack("{s:s}", "x", text);
	free(text);
	return arguments;
}

static void never_reads(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
	mock_hold(m);
}

START_TEST(send_times_out)
{
	struct mock m;
	struct qmp *q = mock_open(&m, never_reads, NULL);
	json_t *arguments = big_arguments(4 << 20);
	uint64_t id;

	/* Half a command has been sent: nothing can follow it. */
	ck_assert_int_eq(qmp_send(q, "big", arguments, -1, SHORT_MS, &id), QMP_ERR_TIMEOUT);
	assert_text(q, "bytes of a command within 60 ms (while sending 'big')");
	ck_assert_int_eq(qmp_execute(q, "query", NULL, LONG_MS, NULL), QMP_ERR_TIMEOUT);
	assert_text(q, "'query' was not sent");
	json_decref(arguments);
	mock_stop(&m, q);
}
END_TEST

START_TEST(full_socket)
{
	char text[4096];
	struct mock m;
	struct qmp *q = mock_open(&m, never_reads, NULL);

	/* Not one byte of the command fits: it times out, and the handle is still good. */
	memset(text, ' ', sizeof(text));
	while (send(qmp_fd(q), text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	while (send(qmp_fd(q), text, 1, MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(qmp_execute(q, "query", NULL, SHORT_MS, NULL), QMP_ERR_TIMEOUT);
	assert_text(q, "did not take 'query' within 60 ms");
	assert_ok(q, qmp_dispatch(q));
	mock_stop(&m, q);
}
END_TEST

/* Writes more than a socket holds before it reads the command. */
static void talks_before_reading(struct mock *m)
{
	char id[64];
	char buffer[65536];
	size_t left = 4 << 20;

	MOCK_CHECK(m, mock_handshake(m));
	for (int i = 0; i < 50000; i++)
		mock_say(m, MOCK_EVENT("NOISE"));
	while (left) {
		ssize_t n = recv(m->fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0);

		MOCK_CHECK(m, n > 0);
		left -= (size_t)n;
	}
	m->in_length = 0;
	snprintf(id, sizeof(id), "libqmp-2");
	mock_reply(m, id, "return", "{}");
	mock_silence(m);
}

START_TEST(no_deadlock)
{
	struct mock m;
	struct qmp *q = mock_open(&m, talks_before_reading, NULL);
	json_t *arguments = big_arguments(4 << 20);

	assert_ok(q, qmp_execute(q, "big", arguments, 4 * LONG_MS, NULL));
	ck_assert_uint_eq(qmp_events_queued(q) + qmp_events_dropped(q), 50000);
	json_decref(arguments);
	mock_stop(&m, q);
}
END_TEST

static void flood(struct mock *m)
{
	static const char noise[] = MOCK_EVENT("NOISE");
	int64_t end;

	MOCK_CHECK(m, mock_handshake(m));
	end = mock_now_ms() + 8 * LONG_MS;
	while (mock_now_ms() < end && send(m->fd, noise, sizeof(noise) - 1, MSG_NOSIGNAL) > 0)
		;
}

/* A server that never stops talking holds no call. */
START_TEST(flooded)
{
	struct mock m;
	struct qmp *q = mock_open(&m, flood, NULL);
	int64_t start = mock_now_ms();

	for (int i = 0; i < 3; i++) {
		assert_ok(q, qmp_dispatch(q));
		ck_assert_int_eq(qmp_wait_event(q, "STOP", 0, NULL), QMP_ERR_TIMEOUT);
		ck_assert_int_eq(qmp_wait_event(q, "STOP", SHORT_MS, NULL), QMP_ERR_TIMEOUT);
		ck_assert_int_eq(qmp_execute(q, "query", NULL, SHORT_MS, NULL), QMP_ERR_TIMEOUT);
	}
	ck_assert_int_lt(mock_now_ms() - start, 6 * LONG_MS);
	ck_assert_uint_le(qmp_events_queued(q), QMP_DEFAULT_MAX_EVENTS);
	mock_stop(&m, q);
}
END_TEST

/* --- sending apart from waiting ------------------------------------------------------------ */

static void answers_when_told(struct mock *m)
{
	char id[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	mock_say(m, MOCK_EVENT("STOP") "{\"event\": \"HALF");
	mock_hold(m);
	mock_say(m, "\"}");
	mock_reply(m, id, "return", "5");
	mock_silence(m);
}

START_TEST(dispatch)
{
	struct mock m;
	struct qmp *q = mock_open(&m, answers_when_told, NULL);
	struct pollfd p = {.fd = qmp_fd(q), .events = POLLIN};
	json_t *value = NULL;
	uint64_t id = 0;

	assert_ok(q, qmp_dispatch(q));
	assert_ok(q, qmp_send(q, "query", NULL, -1, LONG_MS, &id));
	ck_assert_uint_ne(id, 0);
	ck_assert_int_eq(qmp_wait_reply(q, id, 0, &value), QMP_ERR_TIMEOUT);
	mock_tell(&m);
	while (qmp_events_queued(q) < 2) {
		ck_assert_int_eq(poll(&p, 1, LONG_MS), 1);
		assert_ok(q, qmp_dispatch(q));
	}
	assert_event(qmp_take_event(q), "STOP");
	assert_event(qmp_take_event(q), "HALF");
	assert_ok(q, qmp_wait_reply(q, id, LONG_MS, &value));
	ck_assert_int_eq(json_integer_value(value), 5);
	json_decref(value);
	mock_stop(&m, q);
}
END_TEST

static void answers_all(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
	for (int i = 0; i < QMP_LIMIT_PENDING + 1; i++)
		MOCK_CHECK(m, mock_serve(m, "query", "{}"));
	mock_silence(m);
}

START_TEST(too_many_outstanding)
{
	struct mock m;
	struct qmp *q = mock_open(&m, answers_all, NULL);
	uint64_t id[QMP_LIMIT_PENDING + 1];

	for (int i = 0; i < QMP_LIMIT_PENDING; i++)
		assert_ok(q, qmp_send(q, "query", NULL, -1, LONG_MS, &id[i]));
	ck_assert_int_eq(qmp_send(q, "query", NULL, -1, LONG_MS, &id[0]), QMP_ERR_LIMIT);
	assert_text(q, "16 commands are outstanding");
	qmp_forget(q, id[3]);
	qmp_forget(q, id[3]);
	qmp_forget(q, 0);
	assert_ok(q, qmp_send(q, "query", NULL, -1, LONG_MS, &id[QMP_LIMIT_PENDING]));
	for (int i = 0; i <= QMP_LIMIT_PENDING; i++)
		ck_assert_int_eq(qmp_wait_reply(q, id[i], LONG_MS, NULL),
				 i == 3 ? QMP_ERR_INVALID : QMP_OK);
	mock_stop(&m, q);
}
END_TEST

/* --- what a server may cost ----------------------------------------------------------------- */

static size_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Passes a descriptor with each of its events. */
static void passes_descriptors(struct mock *m)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	char event[] = MOCK_EVENT("GIFT");
	struct iovec part = {event, sizeof(event) - 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	MOCK_CHECK(m, mock_handshake(m));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &m->fd, sizeof(int));
	for (int i = 0; i < 50; i++)
		MOCK_CHECK(m, sendmsg(m->fd, &message, 0) > 0);
	mock_say(m, MOCK_EVENT("END"));
	mock_silence(m);
}

START_TEST(unwanted_descriptors)
{
	struct mock m;
	struct qmp *q = mock_open(&m, passes_descriptors, NULL);
	size_t before = open_descriptors();

	assert_ok(q, qmp_wait_event(q, "END", LONG_MS, NULL));
	ck_assert_uint_eq(qmp_events_queued(q), 50);
	ck_assert_uint_eq(open_descriptors(), before);
	mock_stop(&m, q);
}
END_TEST

static void say_long_reply(struct mock *m, char *text, size_t size, int count)
{
	char id[64];
	char end[128];

	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	mock_say(m, "{\"return\": \"");
	for (int i = 0; i < count; i++)
		mock_say_bytes(m, text, size);
	snprintf(end, sizeof(end), "\", \"id\": \"%s\"}\r\n", id);
	mock_say(m, end);
}

/* The first reply is within the default bound, the second is not. */
static void long_replies(struct mock *m)
{
	static char text[1 << 20];

	memset(text, 'x', sizeof(text));
	MOCK_CHECK(m, mock_handshake(m));
	say_long_reply(m, text, sizeof(text), 15);
	say_long_reply(m, text, sizeof(text), 17);
}

START_TEST(long_messages)
{
	struct mock m;
	struct qmp *q = mock_open(&m, long_replies, NULL);
	json_t *value = NULL;

	assert_ok(q, qmp_execute(q, "query", NULL, 4 * LONG_MS, &value));
	ck_assert_uint_eq(json_string_length(value), 15 << 20);
	json_decref(value);
	ck_assert_int_eq(qmp_execute(q, "query", NULL, 4 * LONG_MS, NULL), QMP_ERR_LIMIT);
	assert_text(q, "longer than 16777216 bytes");
	mock_stop(&m, q);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp io");
	TCase *io = tcase_create("io");

	tcase_set_timeout(io, 60);
	tcase_add_test(io, interrupted);
	tcase_add_test(io, no_sigpipe);
	tcase_add_test(io, send_times_out);
	tcase_add_test(io, full_socket);
	tcase_add_test(io, no_deadlock);
	tcase_add_test(io, flooded);
	tcase_add_test(io, dispatch);
	tcase_add_test(io, too_many_outstanding);
	tcase_add_test(io, unwanted_descriptors);
	tcase_add_test(io, long_messages);
	suite_add_tcase(suite, io);
	return mock_run(suite);
}
