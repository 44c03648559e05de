/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP server for tests: a thread at the other end of a socket pair that follows a script, a
 * function of the test. The script must not use check's assertions, which belong to the thread of
 * the test; it says MOCK_CHECK() instead, and mock_stop() fails the test.
 */
#ifndef QMP_MOCK_H
#define QMP_MOCK_H

#include "qmp.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MOCK_GREETING                                                                              \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 3, \"minor\": 2, \"major\": 9}, "          \
	"\"package\": \"mock-1\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define MOCK_EVENT(name)                                                                           \
	"{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 25}, \"event\": \"" name      \
	"\"}\r\n"

#define LONG_MS  5000 /* for what is expected to happen */
#define SHORT_MS 60   /* for what is not */

#define assert_ok(q, call)                                                                         \
	do {                                                                                       \
		enum qmp_error e_ = (call);                                                        \
		ck_assert_msg(!e_, "%s: %s", #call, qmp_last_error(q)->text);                      \
	} while (0)
#define assert_text(q, part)                                                                       \
	ck_assert_msg(strstr(qmp_last_error(q)->text, part), "\"%s\" is not in \"%s\"", part,      \
		      qmp_last_error(q)->text)

static inline void assert_event(json_t *event, const char *name)
{
	ck_assert_ptr_nonnull(event);
	ck_assert_str_eq(qmp_event_name(event), name);
	json_decref(event);
}

struct mock;
typedef void (*mock_script)(struct mock *m);

struct mock {
	int fd;        /* the server's end */
	int client_fd; /* the other end, until a handle has adopted it */
	pthread_t thread;
	mock_script script;
	const char *failed;
	char in[1 << 16];
	size_t in_length;
	int received_fd;
	int listener;    /* for a script that accepts its client itself */
	atomic_int told; /* see mock_hold() */
};

#define MOCK_CHECK(m, condition)                                                                   \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(m)->failed = #condition;                                                  \
			return;                                                                    \
		}                                                                                  \
	} while (0)

static inline int64_t mock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void mock_sleep_ms(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* A client that has gone is not the script's business. */
static inline void mock_say_bytes(struct mock *m, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(m->fd, data, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		length -= (size_t)n;
	}
}

static inline void mock_say(struct mock *m, const char *text)
{
	mock_say_bytes(m, text, strlen(text));
}

static inline ssize_t mock_receive(struct mock *m)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {m->in + m->in_length, sizeof(m->in) - m->in_length};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(m->fd, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL; c;
	     c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_type == SCM_RIGHTS)
			memcpy(&m->received_fd, CMSG_DATA(c), sizeof(int));
	}
	return n;
}

/* The next command, a new reference; NULL if there is none. */
static inline json_t *mock_command(struct mock *m)
{
	char *end;
	json_t *command;
	size_t length;

	while (!(end = memchr(m->in, '\n', m->in_length))) {
		ssize_t n = m->in_length < sizeof(m->in) ? mock_receive(m) : -1;

		if (n <= 0)
			return NULL;
		m->in_length += (size_t)n;
	}
	length = (size_t)(end - m->in) + 1;
	command = json_loadb(m->in, length, 0, NULL);
	m->in_length -= length;
	memmove(m->in, end + 1, m->in_length);
	return command;
}

/* Read a command and put its id into @id; false if it is not @name. */
static inline bool mock_expect(struct mock *m, const char *name, char *id, size_t size)
{
	json_t *command = mock_command(m);
	const char *got = json_string_value(json_object_get(command, "execute"));
	const char *got_id = json_string_value(json_object_get(command, "id"));
	bool ok = got && got_id && !strcmp(got, name);

	if (ok)
		snprintf(id, size, "%s", got_id);
	json_decref(command);
	return ok;
}

/* @kind is "return" or "error", @value JSON. */
static inline void mock_reply(struct mock *m, const char *id, const char *kind, const char *value)
{
	char text[8192];

	snprintf(text, sizeof(text), "{\"%s\": %s, \"id\": \"%s\"}\r\n", kind, value, id);
	mock_say(m, text);
}

/* Read the command @name and answer it. */
static inline bool mock_serve(struct mock *m, const char *name, const char *value)
{
	char id[64];

	if (!mock_expect(m, name, id, sizeof(id)))
		return false;
	mock_reply(m, id, "return", value);
	return true;
}

static inline bool mock_handshake(struct mock *m)
{
	mock_say(m, MOCK_GREETING);
	return mock_serve(m, "qmp_capabilities", "{}");
}

/* Says nothing more and waits until the client goes away; unread commands are passed over. */
static inline void mock_silence(struct mock *m)
{
	char byte;

	while (recv(m->fd, &byte, 1, 0) > 0)
		;
}

/* Wait until the test has called mock_tell() or mock_stop(), with the connection open. */
static inline void mock_hold(struct mock *m)
{
	while (!atomic_load(&m->told))
		mock_sleep_ms(1);
}

static inline void mock_tell(struct mock *m)
{
	atomic_store(&m->told, 1);
}

/* A suite's programme: runs the cases of the suite and tells how many failed, by EXIT_FAILURE. */
static inline int mock_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline void *mock_thread(void *argument)
{
	struct mock *m = argument;

	m->script(m);
	close(m->fd);
	return NULL;
}

/* Makes the socket pair; the client's end is m->client_fd. */
static inline void mock_prepare(struct mock *m, mock_script script)
{
	struct timeval patience = {.tv_sec = 8};
	int pair[2];

	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	m->fd = pair[0];
	m->client_fd = pair[1];
	m->received_fd = -1;
	m->script = script;
	setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(m->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static inline void mock_launch(struct mock *m)
{
	ck_assert_int_eq(pthread_create(&m->thread, NULL, mock_thread, m), 0);
}

static inline void mock_start(struct mock *m, mock_script script)
{
	mock_prepare(m, script);
	mock_launch(m);
}

/* Starts the script and opens a handle on it, which must succeed. */
static inline struct qmp *mock_open(struct mock *m, mock_script script,
				    const struct qmp_options *options)
{
	struct qmp_error_info info;
	struct qmp *q = NULL;
	enum qmp_error error;

	mock_start(m, script);
	error = qmp_adopt(m->client_fd, options, &q, &info);
	ck_assert_msg(!error, "%s", error ? info.text : "");
	m->client_fd = -1;
	return q;
}

/* Frees the handle (NULL is allowed) and waits for the end of the script. */
static inline void mock_stop(struct mock *m, struct qmp *q)
{
	mock_tell(m);
	qmp_free(q);
	if (m->client_fd >= 0)
		close(m->client_fd);
	pthread_join(m->thread, NULL);
	ck_assert_msg(!m->failed, "the mock server: %s", m->failed ? m->failed : "");
}

#endif
