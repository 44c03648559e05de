// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libqmp against a scripted server that keeps to the protocol: opening, commands, events. Its
 * siblings: test_qmp_hostile.c (servers that do not), test_qmp_connect.c (addresses, options),
 * test_qmp_io.c (signals, full sockets, floods), test_qmp_qemu.c (a real QEMU).
 */
#include "testing/qmp_mock.h"

#include <fcntl.h>
#include <poll.h>

/* --- the greeting ------------------------------------------------------------------------- */

static void only_handshake(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
}

START_TEST(greeting)
{
	struct mock m;
	struct qmp *q = mock_open(&m, only_handshake, NULL);
	const struct qmp_version *v = qmp_version(q);

	ck_assert_int_eq(v->major, 9);
	ck_assert_int_eq(v->minor, 2);
	ck_assert_int_eq(v->micro, 3);
	ck_assert_str_eq(v->package, "mock-1");
	ck_assert_ptr_nonnull(json_object_get(qmp_greeting(q), "QMP"));
	ck_assert_int_ge(qmp_fd(q), 0);
	ck_assert_int_eq(qmp_last_error(q)->code, QMP_OK);
	mock_stop(&m, q);
}
END_TEST

static void half_greeting(struct mock *m)
{
	mock_say(m, "{\"QMP\": {\"version\"");
	mock_silence(m);
}

static void greeting_only(struct mock *m)
{
	mock_say(m, MOCK_GREETING);
	mock_hold(m);
}

static void human_monitor(struct mock *m)
{
	mock_say(m, "QEMU 7.2.0 monitor - \x1b[Ktype 'help' for more information\r\n(qemu) ");
}

static void event_first(struct mock *m)
{
	mock_say(m, MOCK_EVENT("RESUME"));
}

static void odd_greeting(struct mock *m)
{
	mock_say(m, "{\"QMP\": {\"version\": {\"qemu\": {\"major\": \"seven\"}}}}");
}

static void broken_greeting(struct mock *m)
{
	mock_say(m, "{\"QMP\": {\"version\": }}");
}

static void closed_at_once(struct mock *m)
{
	(void)m;
}

static void closed_in_greeting(struct mock *m)
{
	mock_say(m, "{\"QMP\": {\"ver");
}

static void refuses_negotiation(struct mock *m)
{
	char id[64];

	mock_say(m, MOCK_GREETING);
	MOCK_CHECK(m, mock_expect(m, "qmp_capabilities", id, sizeof(id)));
	mock_reply(m, id, "error", "{\"class\": \"CommandNotFound\", \"desc\": \"not today\"}");
}

static const struct {
	mock_script script;
	enum qmp_error error;
	const char *text;
} bad_openings[] = {
	{mock_silence, QMP_ERR_TIMEOUT,
	 "within 60 ms: is this the socket of `-qmp`, or is another"},
	{half_greeting, QMP_ERR_TIMEOUT, "no QMP greeting from descriptor "},
	{greeting_only, QMP_ERR_TIMEOUT, "no reply to 'qmp_capabilities'"},
	{human_monitor, QMP_ERR_GREETING, "it sent \"QEMU 7.2.0 monitor - ?[Ktype"},
	{event_first, QMP_ERR_GREETING, "has the connection been used before?"},
	{odd_greeting, QMP_ERR_GREETING, "is not a QMP greeting"},
	{broken_greeting, QMP_ERR_GREETING, "not valid JSON"},
	{closed_at_once, QMP_ERR_CLOSED, "closed the connection"},
	{closed_in_greeting, QMP_ERR_CLOSED, "in the middle of a message, after 13 bytes"},
	{refuses_negotiation, QMP_ERR_COMMAND, "not today (CommandNotFound)"},
};

START_TEST(bad_opening)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info;
	struct qmp *q = NULL;
	struct mock m;
	int64_t start;

	options.timeout_ms = bad_openings[_i].error == QMP_ERR_TIMEOUT ? SHORT_MS : LONG_MS;
	mock_start(&m, bad_openings[_i].script);
	/* What is said has been said before the time runs. */
	if (bad_openings[_i].script != mock_silence) {
		struct pollfd p = {.fd = m.client_fd, .events = POLLIN};

		ck_assert_int_eq(poll(&p, 1, LONG_MS), 1);
	}
	start = mock_now_ms();
	ck_assert_int_eq(qmp_adopt(m.client_fd, &options, &q, &info), bad_openings[_i].error);
	ck_assert_int_lt(mock_now_ms() - start, LONG_MS);
	ck_assert_ptr_null(q);
	ck_assert_int_eq(info.code, bad_openings[_i].error);
	ck_assert_msg(strstr(info.text, bad_openings[_i].text), "%s", info.text);
	/* The descriptor is still ours. */
	ck_assert_int_ge(fcntl(m.client_fd, F_GETFD), 0);
	mock_stop(&m, NULL);
}
END_TEST

/* --- commands and replies ----------------------------------------------------------------- */

static void echo_arguments(struct mock *m)
{
	MOCK_CHECK(m, mock_handshake(m));
	for (;;) {
		json_t *command = mock_command(m);
		json_t *arguments = json_object_get(command, "arguments");
		json_t *reply;
		char *text;

		if (!command)
			return;
		reply = json_pack("{s:O?, s:O}", "return", arguments, "id",
				  json_object_get(command, "id"));
		if (!arguments)
			json_object_set_new(reply, "return", json_object());
		text = json_dumps(reply, 0);
		mock_say(m, text);
		free(text);
		json_decref(reply);
		json_decref(command);
	}
}

START_TEST(execute)
{
	struct mock m;
	struct qmp *q = mock_open(&m, echo_arguments, NULL);
	json_t *arguments = json_pack("{s:s, s:[i,b]}", "text", "caf\xc3\xa9 \"}{", "list", 1, 1);
	json_t *list = json_array();
	json_t *value = NULL;

	assert_ok(q, qmp_execute(q, "echo", arguments, LONG_MS, &value));
	ck_assert(json_equal(value, arguments));
	ck_assert_uint_eq(arguments->refcount, 1);
	json_decref(value);
	json_decref(arguments);

	assert_ok(q, qmp_execute(q, "echo", NULL, -1, NULL));
	value = NULL;
	assert_ok(q, qmp_execute_pack(q, LONG_MS, &value, "echo", "{s:i}", "n", 7));
	ck_assert_int_eq(json_integer_value(json_object_get(value, "n")), 7);
	json_decref(value);

	ck_assert_int_eq(qmp_execute(q, NULL, NULL, LONG_MS, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_execute(q, "", NULL, LONG_MS, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_execute(q, "not\xffutf8", NULL, LONG_MS, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_execute(q, "echo", list, LONG_MS, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_execute_pack(q, LONG_MS, NULL, "echo", "{s:s}", "n", NULL),
			 QMP_ERR_INVALID);
	assert_text(q, "'echo' cannot be built");
	json_decref(list);
	assert_ok(q, qmp_execute(q, "echo", NULL, LONG_MS, NULL));
	mock_stop(&m, q);
}
END_TEST

static void answer_in_reverse(struct mock *m)
{
	char id[3][64];

	MOCK_CHECK(m, mock_handshake(m));
	for (int i = 0; i < 3; i++)
		MOCK_CHECK(m, mock_expect(m, "query", id[i], sizeof(id[i])));
	mock_say(m, "{\"return\": {}, \"id\": \"somebody-else\"}{\"return\": {}, \"id\": 3}");
	for (int i = 2; i >= 0; i--) {
		char value[16];

		snprintf(value, sizeof(value), "%d", i);
		mock_say(m, MOCK_EVENT("BETWEEN"));
		mock_reply(m, id[i], "return", value);
		mock_reply(m, id[i], "return", "\"a second reply to the same\"");
	}
	mock_silence(m);
}

START_TEST(ids_out_of_order)
{
	struct mock m;
	struct qmp *q = mock_open(&m, answer_in_reverse, NULL);
	uint64_t id[3];

	for (int i = 0; i < 3; i++)
		assert_ok(q, qmp_send(q, "query", NULL, -1, LONG_MS, &id[i]));
	for (int i = 0; i < 3; i++) {
		json_t *value = NULL;

		assert_ok(q, qmp_wait_reply(q, id[i], LONG_MS, &value));
		ck_assert_int_eq(json_integer_value(value), i);
		json_decref(value);
		ck_assert_int_eq(qmp_wait_reply(q, id[i], 0, NULL), QMP_ERR_INVALID);
	}
	ck_assert_int_eq(qmp_wait_reply(q, 0, 0, NULL), QMP_ERR_INVALID);
	ck_assert_uint_eq(qmp_events_queued(q), 3);
	mock_stop(&m, q);
}
END_TEST

static void events_then_reply(struct mock *m)
{
	char id[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "stop", id, sizeof(id)));
	mock_say(m, MOCK_EVENT("STOP") "{\"event\": \"X\", \"data\": {\"a\": 1}}");
	mock_reply(m, id, "return", "{}");
	mock_say(m, MOCK_EVENT("RESUME"));
	mock_silence(m);
}

START_TEST(event_before_reply)
{
	struct mock m;
	struct qmp *q = mock_open(&m, events_then_reply, NULL);
	json_t *event = NULL;

	assert_ok(q, qmp_execute(q, "stop", NULL, LONG_MS, NULL));
	assert_ok(q, qmp_wait_event(q, "RESUME", LONG_MS, &event));
	ck_assert_ptr_null(qmp_event_data(event));
	ck_assert_int_eq(qmp_event_time(event), 1700000000000025);
	assert_event(event, "RESUME");
	assert_event(qmp_take_event(q), "STOP");
	event = qmp_take_event(q);
	ck_assert_int_eq(json_integer_value(json_object_get(qmp_event_data(event), "a")), 1);
	ck_assert_int_eq(qmp_event_time(event), -1);
	assert_event(event, "X");
	ck_assert_ptr_null(qmp_take_event(q));
	mock_stop(&m, q);
}
END_TEST

static void errors(struct mock *m)
{
	char big[3000];
	char text[3200];
	char id[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "a", id, sizeof(id)));
	mock_reply(m, id, "error",
		   "{\"class\": \"GenericError\", \"desc\": \"no \\u001b[31m\\u009b \\u20ac "
		   "\\ud83d\\ude00 file\\n\"}");
	MOCK_CHECK(m, mock_expect(m, "b", id, sizeof(id)));
	for (size_t i = 0; i < sizeof(big) - 2; i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	big[sizeof(big) - 2] = 0;
	snprintf(text, sizeof(text), "{\"class\": \"C\", \"desc\": \"x%s\"}", big);
	mock_reply(m, id, "error", text);
	MOCK_CHECK(m, mock_expect(m, "c", id, sizeof(id)));
	mock_say(m, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not understood\"}}");
	mock_silence(m);
}

START_TEST(error_replies)
{
	struct mock m;
	struct qmp *q = mock_open(&m, errors, NULL);
	const struct qmp_error_info *e = qmp_last_error(q);
	json_t *value = NULL;

	ck_assert_int_eq(qmp_execute(q, "a", NULL, LONG_MS, &value), QMP_ERR_COMMAND);
	ck_assert_ptr_null(value);
	ck_assert_str_eq(e->error_class, "GenericError");
	ck_assert_str_eq(e->error_desc, "no ?[31m? \xe2\x82\xac \xf0\x9f\x98\x80 file?");
	ck_assert_str_eq(e->text, "'a' failed: no ?[31m? \xe2\x82\xac \xf0\x9f\x98\x80 file? "
				  "(GenericError)");

	ck_assert_int_eq(qmp_execute(q, "b", NULL, LONG_MS, NULL), QMP_ERR_COMMAND);
	ck_assert_uint_eq(strlen(e->error_desc), sizeof(e->error_desc) - 1);
	ck_assert_mem_eq(e->error_desc + sizeof(e->error_desc) - 3, "\xc3\xa9", 3);

	ck_assert_int_eq(qmp_execute(q, "c", NULL, LONG_MS, NULL), QMP_ERR_COMMAND);
	ck_assert_str_eq(e->error_desc, "not understood");
	mock_stop(&m, q);
}
END_TEST

/* Writes into the descriptor that came with the command. */
static void use_descriptor(struct mock *m)
{
	char id[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "getfd", id, sizeof(id)));
	MOCK_CHECK(m, m->received_fd >= 0);
	MOCK_CHECK(m, write(m->received_fd, "through", 7) == 7);
	close(m->received_fd);
	mock_reply(m, id, "return", "{}");
	mock_silence(m);
}

START_TEST(descriptor_passing)
{
	struct mock m;
	struct qmp *q = mock_open(&m, use_descriptor, NULL);
	json_t *arguments = json_pack("{s:s}", "fdname", "out");
	char data[16];
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(qmp_execute_fd(q, "getfd", arguments, 9999, LONG_MS, NULL),
			 QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_execute_fd(q, "getfd", arguments, -1, LONG_MS, NULL), QMP_ERR_INVALID);
	assert_ok(q, qmp_execute_fd(q, "getfd", arguments, pipes[1], LONG_MS, NULL));
	close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], data, sizeof(data)), 7);
	ck_assert_mem_eq(data, "through", 7);
	ck_assert_int_eq(read(pipes[0], data, sizeof(data)), 0);
	close(pipes[0]);
	json_decref(arguments);
	mock_stop(&m, q);
}
END_TEST

/* The first command is answered late, together with the second. */
static void late(struct mock *m)
{
	char first[64];
	char second[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "first", first, sizeof(first)));
	MOCK_CHECK(m, mock_expect(m, "second", second, sizeof(second)));
	mock_reply(m, first, "return", "1");
	mock_reply(m, second, "return", "2");
	mock_silence(m);
}

START_TEST(timeouts)
{
	struct mock m;
	struct qmp *q = mock_open(&m, late, NULL);
	const char *const names[] = {"STOP", "RESUME", NULL};
	int64_t start = mock_now_ms();
	json_t *value = NULL;

	ck_assert_int_eq(qmp_execute(q, "first", NULL, SHORT_MS, &value), QMP_ERR_TIMEOUT);
	ck_assert_int_ge(mock_now_ms() - start, SHORT_MS);
	assert_text(q, "no reply to 'first' from descriptor");
	assert_text(q, "within 60 ms");
	ck_assert_int_eq(qmp_wait_event(q, "STOP", 0, &value), QMP_ERR_TIMEOUT);
	ck_assert_int_eq(qmp_wait_any_event(q, names, SHORT_MS, &value), QMP_ERR_TIMEOUT);
	assert_text(q, "no event STOP, RESUME from");
	ck_assert_ptr_null(value);
	ck_assert_int_eq(qmp_wait_any_event(q, names + 2, 0, NULL), QMP_ERR_INVALID);
	ck_assert_int_eq(qmp_wait_any_event(q, NULL, 0, NULL), QMP_ERR_INVALID);
	assert_ok(q, qmp_execute(q, "second", NULL, LONG_MS, &value));
	ck_assert_int_eq(json_integer_value(value), 2);
	json_decref(value);
	mock_stop(&m, q);
}
END_TEST

/* --- the event queue ---------------------------------------------------------------------- */

static void many_events(struct mock *m)
{
	char id[64];
	char text[256];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "{\"event\": \"N\", \"data\": {\"n\": %d}}\r\n", i);
		mock_say(m, i == 250 ? MOCK_EVENT("WANTED") : text);
	}
	mock_reply(m, id, "return", "{}");
	mock_silence(m);
}

static int event_number(json_t *event)
{
	int n = (int)json_integer_value(json_object_get(qmp_event_data(event), "n"));

	json_decref(event);
	return n;
}

START_TEST(queue_bound)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct mock m;
	struct qmp *q;

	options.max_events = 10;
	q = mock_open(&m, many_events, &options);
	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, NULL));
	ck_assert_uint_eq(qmp_events_queued(q), 10);
	ck_assert_uint_eq(qmp_events_dropped(q), 490);
	for (int i = 490; i < 500; i++)
		ck_assert_int_eq(event_number(qmp_take_event(q)), i);
	ck_assert_ptr_null(qmp_take_event(q));
	mock_stop(&m, q);
}
END_TEST

START_TEST(queue_byte_bound)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct mock m;
	struct qmp *q;

	/* Events 100 to 499 have 34 bytes without the line end; WANTED has more than all. */
	options.max_event_bytes = 34 * 2;
	q = mock_open(&m, many_events, &options);
	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, NULL));
	ck_assert_uint_eq(qmp_events_queued(q), 2);
	ck_assert_uint_eq(qmp_events_dropped(q), 498);
	ck_assert_int_eq(event_number(qmp_take_event(q)), 498);
	qmp_flush_events(q);
	ck_assert_uint_eq(qmp_events_queued(q), 0);
	mock_stop(&m, q);
}
END_TEST

START_TEST(wanted_is_never_dropped)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	const char *const names[] = {"OTHER", "WANTED", NULL};
	json_t *event = NULL;
	struct mock m;
	struct qmp *q;
	uint64_t id;

	options.max_events = 1;
	q = mock_open(&m, many_events, &options);
	assert_ok(q, qmp_send(q, "query", NULL, -1, LONG_MS, &id));
	assert_ok(q, qmp_wait_any_event(q, names, LONG_MS, &event));
	assert_event(event, "WANTED");
	assert_ok(q, qmp_wait_reply(q, id, LONG_MS, NULL));
	ck_assert_uint_eq(qmp_events_queued(q), 1);
	mock_stop(&m, q);
}
END_TEST

struct seen {
	int count;
	struct qmp *q;
	enum qmp_error inside;
	bool misused;
};

static bool keep_even(json_t *event, void *context)
{
	struct seen *seen = context;

	seen->count++;
	if (seen->q && (qmp_wait_event(seen->q, "N", 0, NULL) != QMP_ERR_INVALID ||
			qmp_wait_reply(seen->q, 1, 0, NULL) != QMP_ERR_INVALID ||
			qmp_dispatch(seen->q) != QMP_ERR_INVALID))
		seen->misused = true;
	if (seen->q)
		seen->inside = qmp_execute(seen->q, "query", NULL, LONG_MS, NULL);
	return json_integer_value(json_object_get(qmp_event_data(event), "n")) % 2;
}

START_TEST(callback)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct seen seen = {0};
	json_t *event = NULL;
	struct mock m;
	struct qmp *q;

	options.on_event = keep_even;
	options.on_event_context = &seen;
	q = mock_open(&m, many_events, &options);
	seen.q = q;
	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, NULL));
	ck_assert_int_eq(seen.count, 500);
	ck_assert_int_eq(seen.inside, QMP_ERR_INVALID);
	ck_assert(!seen.misused);
	assert_text(q, "callback");
	ck_assert_uint_eq(qmp_events_queued(q), 250);
	assert_ok(q, qmp_wait_event(q, NULL, 0, &event));
	ck_assert_int_eq(event_number(event), 0);
	mock_stop(&m, q);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp");
	TCase *protocol = tcase_create("protocol");

	tcase_set_timeout(protocol, 60);
	tcase_add_test(protocol, greeting);
	tcase_add_loop_test(protocol, bad_opening, 0,
			    (int)(sizeof(bad_openings) / sizeof(bad_openings[0])));
	tcase_add_test(protocol, execute);
	tcase_add_test(protocol, ids_out_of_order);
	tcase_add_test(protocol, event_before_reply);
	tcase_add_test(protocol, error_replies);
	tcase_add_test(protocol, descriptor_passing);
	tcase_add_test(protocol, timeouts);
	tcase_add_test(protocol, queue_bound);
	tcase_add_test(protocol, queue_byte_bound);
	tcase_add_test(protocol, wanted_is_never_dropped);
	tcase_add_test(protocol, callback);
	suite_add_tcase(suite, protocol);
	return mock_run(suite);
}
