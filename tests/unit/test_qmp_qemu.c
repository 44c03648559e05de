// SPDX-License-Identifier: LGPL-2.1-or-later
/* libqmp against a real QEMU, which has to be installed: without it the tests fail. */
#include "testing/qmp_mock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct qemu {
	pid_t pid;
	char dir[32];
	char socket[64];
};

/* @arguments ends with NULL. The test fails if QEMU does not start. */
static struct qmp *qemu_start(struct qemu *vm, const char *const *arguments)
{
	const char *argv[32] = {"qemu-system-x86_64", "-accel", "tcg", "-display", "none",
				"-nodefaults",        "-qmp"};
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info = {0};
	struct qmp *q = NULL;
	char server[128];
	size_t n = 7;

	snprintf(vm->dir, sizeof(vm->dir), "/tmp/test-qmp-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(vm->dir));
	snprintf(vm->socket, sizeof(vm->socket), "%s/qmp", vm->dir);
	snprintf(server, sizeof(server), "unix:%s,server=on,wait=off", vm->socket);
	argv[n++] = server;
	while (*arguments)
		argv[n++] = *arguments++;

	vm->pid = fork();
	ck_assert_int_ge(vm->pid, 0);
	if (!vm->pid) {
		/* A test that fails must not leave a QEMU behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	options.flags = QMP_CONNECT_RETRY;
	options.timeout_ms = 20000;
	ck_assert_msg(!qmp_connect(vm->socket, &options, &q, &info), "QEMU: %s", info.text);
	return q;
}

/* Waits for the process and returns its status. */
static int qemu_end(struct qemu *vm, struct qmp *q)
{
	int status = -1;

	qmp_free(q);
	for (int i = 0; i < 2000 && !waitpid(vm->pid, &status, WNOHANG); i++)
		mock_sleep_ms(5);
	if (status == -1) {
		kill(vm->pid, SIGKILL);
		waitpid(vm->pid, NULL, 0);
	}
	unlink(vm->socket);
	rmdir(vm->dir);
	return status;
}

static void qemu_quit(struct qemu *vm, struct qmp *q)
{
	json_t *event = NULL;

	assert_ok(q, qmp_execute(q, "quit", NULL, 20000, NULL));
	assert_ok(q, qmp_wait_event(q, "SHUTDOWN", 20000, &event));
	ck_assert_int_gt(qmp_event_time(event), 1600000000000000);
	json_decref(event);
	ck_assert_int_eq(qmp_wait_event(q, "NEVER", 20000, NULL), QMP_ERR_CLOSED);
	ck_assert_int_eq(qemu_end(vm, q), 0);
}

START_TEST(qemu_none)
{
	static const char *const arguments[] = {"-machine", "none", NULL};
	struct qemu vm;
	struct qmp *q = qemu_start(&vm, arguments);
	const json_t *major;
	json_t *value = NULL;
	json_t *add;
	int null;

	ck_assert_int_ge(qmp_version(q)->major, 5);
	assert_ok(q, qmp_execute(q, "query-version", NULL, 20000, &value));
	major = json_object_get(json_object_get(value, "qemu"), "major");
	ck_assert_int_eq(json_integer_value(major), qmp_version(q)->major);
	json_decref(value);

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(null, 0);
	add = json_pack("{s:i, s:s}", "fdset-id", 3, "opaque", "null");
	assert_ok(q, qmp_execute_fd(q, "add-fd", add, null, 20000, &value));
	ck_assert_int_eq(json_integer_value(json_object_get(value, "fdset-id")), 3);
	json_decref(value);
	json_decref(add);
	close(null);
	assert_ok(q, qmp_execute(q, "query-fdsets", NULL, 20000, &value));
	ck_assert_uint_eq(json_array_size(value), 1);
	json_decref(value);

	/* A message of some 200 kB. */
	assert_ok(q, qmp_execute(q, "query-qmp-schema", NULL, 20000, &value));
	ck_assert_uint_gt(json_array_size(value), 500);
	json_decref(value);

	ck_assert_int_eq(qmp_execute(q, "no-such-command", NULL, 20000, NULL), QMP_ERR_COMMAND);
	ck_assert_str_eq(qmp_last_error(q)->error_class, "CommandNotFound");
	ck_assert_int_eq(qmp_execute_pack(q, 20000, NULL, "getfd", "{s:s}", "fdname", "x"),
			 QMP_ERR_COMMAND);
	assert_text(q, "'getfd' failed: ");
	qemu_quit(&vm, q);
}
END_TEST

START_TEST(qemu_stop_cont)
{
	static const char *const arguments[] = {"-machine", "q35", "-m", "16", "-S", NULL};
	static const char *const names[] = {"RESUME", "STOP", NULL};
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info;
	struct qemu vm;
	struct qmp *q = qemu_start(&vm, arguments);
	struct qmp *second = NULL;
	json_t *value = NULL;

	/* QEMU serves one client: the second one waits. */
	options.timeout_ms = 200;
	ck_assert_int_eq(qmp_connect(vm.socket, &options, &second, &info), QMP_ERR_TIMEOUT);
	ck_assert_msg(strstr(info.text, "or is another client connected?"), "%s", info.text);

	assert_ok(q, qmp_execute(q, "cont", NULL, 20000, NULL));
	assert_ok(q, qmp_wait_event(q, "RESUME", 20000, NULL));
	assert_ok(q, qmp_execute(q, "stop", NULL, 20000, NULL));
	assert_ok(q, qmp_wait_any_event(q, names, 20000, &value));
	assert_event(value, "STOP");
	assert_ok(q, qmp_execute(q, "query-status", NULL, 20000, &value));
	ck_assert_str_eq(json_string_value(json_object_get(value, "status")), "paused");
	json_decref(value);

	/* An unsigned number that does not fit into a signed one. */
	assert_ok(q, qmp_execute_pack(q, 20000, &value, "qom-get", "{s:s, s:s}", "path",
				      "/machine/unattached/system[0]", "property", "size"));
	ck_assert_uint_eq((uint64_t)json_integer_value(value), UINT64_MAX);
	json_decref(value);
	qemu_quit(&vm, q);
}
END_TEST

/* Reads the pipe to its end and dispatches meanwhile; returns what it began with and its size. */
static size_t pump(struct qmp *q, int pipe, unsigned char *head)
{
	unsigned char buffer[65536];
	size_t total = 0;

	for (;;) {
		struct pollfd p[] = {{.fd = pipe, .events = POLLIN},
				     {.fd = qmp_fd(q), .events = POLLIN}};
		ssize_t n;

		ck_assert_int_gt(poll(p, 2, 20000), 0);
		if (p[1].revents)
			assert_ok(q, qmp_dispatch(q));
		if (!p[0].revents)
			continue;
		n = read(pipe, buffer, sizeof(buffer));
		ck_assert_int_ge(n, 0);
		if (!n)
			return total;
		if (!total)
			memcpy(head, buffer, 4);
		total += (size_t)n;
	}
}

/* A migration into a pipe, emptied while the events come in. */
START_TEST(qemu_migrate)
{
	static const char *const arguments[] = {"-machine", "q35", "-m", "16", "-S", NULL};
	struct qemu vm;
	struct qmp *q = qemu_start(&vm, arguments);
	json_t *name = json_pack("{s:s}", "fdname", "out");
	const char *status = "";
	unsigned char head[4];
	json_t *event = NULL;
	uint64_t id;
	int pipes[2];

	assert_ok(q,
		  qmp_execute_pack(q, 20000, NULL, "migrate-set-capabilities", "{s:[{s:s, s:b}]}",
				   "capabilities", "capability", "events", "state", 1));
	ck_assert_int_eq(pipe(pipes), 0);
	assert_ok(q, qmp_execute_fd(q, "getfd", name, pipes[1], 20000, NULL));
	close(pipes[1]);
	json_decref(name);
	name = json_pack("{s:s}", "uri", "fd:out");
	assert_ok(q, qmp_send(q, "migrate", name, -1, 20000, &id));
	ck_assert_uint_gt(pump(q, pipes[0], head), 100000);
	ck_assert_mem_eq(head, "QEVM", 4);
	assert_ok(q, qmp_wait_reply(q, id, 20000, NULL));
	while (strcmp(status, "completed") != 0) {
		json_decref(event);
		assert_ok(q, qmp_wait_event(q, "MIGRATION", 20000, &event));
		status = json_string_value(json_object_get(qmp_event_data(event), "status"));
		ck_assert_str_ne(status, "failed");
	}
	json_decref(event);
	json_decref(name);
	close(pipes[0]);
	qemu_quit(&vm, q);
}
END_TEST

/* QEMU exits when what comes in is not a migration: that is an error of its own. */
START_TEST(qemu_exits)
{
	static const char *const arguments[] = {"-machine",  "q35",   "-m", "16",
						"-incoming", "defer", NULL};
	struct qemu vm;
	struct qmp *q = qemu_start(&vm, arguments);
	enum qmp_error error;
	int status;

	error = qmp_execute_pack(q, 20000, NULL, "migrate-incoming", "{s:s}", "uri",
				 "exec:echo this is not a migration stream 2>/dev/null");
	if (!error)
		error = qmp_wait_event(q, "RESUME", 20000, NULL);
	ck_assert_int_eq(error, QMP_ERR_CLOSED);
	assert_text(q, "did QEMU exit?");
	status = qemu_end(&vm, q);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp with QEMU");
	TCase *qemu = tcase_create("qemu");

	tcase_set_timeout(qemu, 120);
	tcase_add_test(qemu, qemu_none);
	tcase_add_test(qemu, qemu_stop_cont);
	tcase_add_test(qemu, qemu_migrate);
	tcase_add_test(qemu, qemu_exits);
	suite_add_tcase(suite, qemu);
	return mock_run(suite);
}
