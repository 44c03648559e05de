// SPDX-License-Identifier: LGPL-2.1-or-later
/* libqmp opening a handle: addresses, options, connecting to what listens and what does not. */
#include "testing/qmp_mock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

/* --- addresses ---------------------------------------------------------------------------- */

#define PATH_OF_108                                                                                \
	"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaa"                                                                                     \
	"aaaaaaaaaaaaaaaa"

static const struct {
	const char *address;
	enum qmp_error error;
	const char *text;
} bad_addresses[] = {
	{"", QMP_ERR_ADDRESS, "is empty"},
	{"unix:", QMP_ERR_ADDRESS, "is empty"},
	{PATH_OF_108, QMP_ERR_ADDRESS, "has 108 bytes, and a unix socket allows 107"},
	{"/nonexistent/socket", QMP_ERR_CONNECT, "cannot connect to /nonexistent/socket: No such"},
	{"unix:/dev/null", QMP_ERR_CONNECT, "Connection refused (has the QEMU"},
	{"tcp:", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp:localhost", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp:localhost:", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp::4444", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp:::1:4444", QMP_ERR_ADDRESS, "(an IPv6 HOST in brackets)"},
	{"tcp:[]:4444", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp:[::1:4444", QMP_ERR_ADDRESS, "not of the form tcp:HOST:PORT"},
	{"tcp:127.0.0.1:no-such-service", QMP_ERR_ADDRESS, "cannot look up 'tcp:127.0.0.1:no-"},
	{"tcp:127.0.0.1:1", QMP_ERR_CONNECT, "cannot connect to tcp:127.0.0.1:1: "},
};

START_TEST(bad_address)
{
	struct qmp_error_info info;
	struct qmp *q = NULL;

	ck_assert_int_eq(qmp_connect(bad_addresses[_i].address, NULL, &q, &info),
			 bad_addresses[_i].error);
	ck_assert_ptr_null(q);
	ck_assert_int_eq(info.code, bad_addresses[_i].error);
	ck_assert_msg(strstr(info.text, bad_addresses[_i].text), "%s", info.text);
	ck_assert_int_eq(info.sys_errno != 0, info.code == QMP_ERR_CONNECT);
	ck_assert_int_eq(qmp_connect(bad_addresses[_i].address, NULL, &q, NULL),
			 bad_addresses[_i].error);
}
END_TEST

START_TEST(bad_options)
{
	struct {
		struct qmp_options options;
		int newer;
	} newer = {.options = {.size = sizeof(newer)}};
	struct qmp_options o = QMP_OPTIONS_INIT;
	struct qmp *q = NULL;

	ck_assert_int_eq(qmp_connect(NULL, NULL, &q, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_connect("x", NULL, NULL, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_adopt(0, NULL, NULL, NULL), QMP_ERR_INVALID);
	o.size = 0;
	ck_assert_int_eq(qmp_connect("/nonexistent", &o, &q, NULL), QMP_ERR_INVALID);
	o.size = sizeof(o);
	o.max_depth = QMP_LIMIT_DEPTH + 1;
	ck_assert_int_eq(qmp_connect("/nonexistent", &o, &q, NULL), QMP_ERR_INVALID);
	o.max_depth = QMP_LIMIT_DEPTH;
	ck_assert_int_eq(qmp_connect("/nonexistent", &o, &q, NULL), QMP_ERR_CONNECT);
	/* An older caller knows the beginning only. */
	o.size = offsetof(struct qmp_options, max_message);
	ck_assert_int_eq(qmp_connect("/nonexistent", &o, &q, NULL), QMP_ERR_CONNECT);
	o.flags = 0x80;
	ck_assert_int_eq(qmp_connect("/nonexistent", &o, &q, NULL), QMP_ERR_INVALID);
	/* A newer one may not set what this version does not know. */
	ck_assert_int_eq(qmp_connect("/nonexistent", &newer.options, &q, NULL), QMP_ERR_CONNECT);
	newer.newer = 1;
	ck_assert_int_eq(qmp_connect("/nonexistent", &newer.options, &q, NULL), QMP_ERR_INVALID);
}
END_TEST

START_TEST(adopt_no_socket)
{
	struct qmp_error_info info;
	struct qmp *q = NULL;
	int pair[2];

	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(qmp_adopt(pair[0], NULL, &q, &info), QMP_ERR_INVALID);
	ck_assert_msg(strstr(info.text, "is not a socket"), "%s", info.text);
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(qmp_adopt(pair[0], NULL, &q, &info), QMP_ERR_INVALID);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	ck_assert_int_eq(qmp_adopt(pair[0], NULL, &q, &info), QMP_ERR_INVALID);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(names_of_errors)
{
	ck_assert_str_eq(qmp_strerror(QMP_ERR_CLOSED), "connection closed by the server");
	ck_assert_str_eq(qmp_strerror((enum qmp_error)77), "unknown error");
	for (int i = 0; i <= QMP_ERR_COMMAND; i++)
		ck_assert_str_ne(qmp_strerror((enum qmp_error)i), "unknown error");
	qmp_free(NULL);
}
END_TEST

/* --- connecting --------------------------------------------------------------------------- */

static void serve_one(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_serve(m, "query", "{}"));
	mock_silence(m);
}

/* A socket that listens; @m->listener is its descriptor and the script has to accept. */
static void accept_one(struct mock *m)
{
	int fd;

	mock_sleep_ms(2 * SHORT_MS);
	MOCK_CHECK(m, !listen(m->listener, 1));
	fd = accept(m->listener, NULL, NULL);
	MOCK_CHECK(m, fd >= 0);
	close(m->fd);
	m->fd = fd;
	serve_one(m);
}

static struct qmp *connect_mock(struct mock *m, int listener, const char *address)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info = {0};
	struct qmp *q = NULL;

	options.flags = QMP_CONNECT_RETRY;
	mock_prepare(m, accept_one);
	m->listener = listener;
	mock_launch(m);
	ck_assert_msg(!qmp_connect(address, &options, &q, &info), "%s", info.text);
	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, NULL));
	return q;
}

static int bind_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The server begins to listen late, so that the first attempts are refused. */
START_TEST(connect_unix)
{
	char dir[] = "/tmp/test-qmp-XXXXXX";
	char address[64];
	struct qmp *q;
	struct mock m;
	int listener;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix:%s/s", dir);
	listener = bind_unix(address + 5);
	q = connect_mock(&m, listener, address);
	ck_assert_int_eq(fcntl(qmp_fd(q), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	mock_stop(&m, q);
	close(listener);
	unlink(address + 5);
	rmdir(dir);
}
END_TEST

START_TEST(connect_tcp)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[64];
	struct qmp *q;
	struct mock m;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", ntohs(address.sin_port));
	q = connect_mock(&m, listener, text);
	ck_assert_int_eq(qmp_execute_fd(q, "getfd", NULL, 0, LONG_MS, NULL), QMP_ERR_INVALID);
	assert_text(q, "over a unix socket only");
	mock_stop(&m, q);
	close(listener);
}
END_TEST

START_TEST(connect_tcp6)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[64];
	struct mock m;

	/* A host may be without IPv6. */
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size))
		return;
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(text, sizeof(text), "tcp:[::1]:%d", ntohs(address.sin6_port));
	mock_stop(&m, connect_mock(&m, listener, text));
	close(listener);
}
END_TEST

/* A socket whose queue of waiting clients is full. */
START_TEST(connect_full)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	char dir[] = "/tmp/test-qmp-XXXXXX";
	struct qmp_error_info info = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct qmp *q = NULL;
	int waiting[4];
	int listener;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	listener = bind_unix(address.sun_path);
	ck_assert_int_eq(listen(listener, 0), 0);
	for (size_t i = 0; i < 4; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
	}
	options.timeout_ms = SHORT_MS;
	ck_assert_int_eq(qmp_connect(address.sun_path, &options, &q, &info), QMP_ERR_TIMEOUT);
	ck_assert_msg(strstr(info.text, "are other clients connected"), "%s", info.text);
	for (size_t i = 0; i < 4; i++)
		close(waiting[i]);
	close(listener);
	unlink(address.sun_path);
	rmdir(dir);
}
END_TEST

START_TEST(connect_retry_ends)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info = {0};
	int64_t start = mock_now_ms();
	struct qmp *q = NULL;

	options.timeout_ms = SHORT_MS;
	options.flags = QMP_CONNECT_RETRY;
	ck_assert_int_eq(qmp_connect("/nonexistent/s", &options, &q, &info), QMP_ERR_CONNECT);
	ck_assert_int_eq(info.sys_errno, ENOENT);
	ck_assert_int_ge(mock_now_ms() - start, SHORT_MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp connect");
	TCase *opening = tcase_create("connect");

	tcase_set_timeout(opening, 60);
	tcase_add_loop_test(opening, bad_address, 0,
			    (int)(sizeof(bad_addresses) / sizeof(bad_addresses[0])));
	tcase_add_test(opening, bad_options);
	tcase_add_test(opening, adopt_no_socket);
	tcase_add_test(opening, names_of_errors);
	tcase_add_test(opening, connect_unix);
	tcase_add_test(opening, connect_tcp);
	tcase_add_test(opening, connect_tcp6);
	tcase_add_test(opening, connect_full);
	tcase_add_test(opening, connect_retry_ends);
	suite_add_tcase(suite, opening);
	return mock_run(suite);
}
