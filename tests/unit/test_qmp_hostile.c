// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libqmp against servers that break the protocol or a bound, and against every way a stream can
 * be cut into reads.
 */
#include "testing/qmp_mock.h"

#include <poll.h>

static const char *hostile_text;

static void hostile(struct mock *m)
{
	char id[64];

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	mock_say(m, MOCK_EVENT("BEFORE"));
	mock_say(m, hostile_text);
}

static const struct {
	const char *says;
	enum qmp_error error;
	const char *text;
} hostiles[] = {
	{"", QMP_ERR_CLOSED, "closed the connection: did QEMU exit? (while waiting for"},
	{"{\"return\": {\"half", QMP_ERR_CLOSED, "in the middle of a message, after 17 bytes"},
	{"HTTP/1.1 400 Bad Request\r\n", QMP_ERR_PROTOCOL, "not a QMP message: \"HTTP/1.1 400"},
	{"\x01\x02", QMP_ERR_PROTOCOL, "\"??\""},
	{"}", QMP_ERR_PROTOCOL, "not a QMP message"},
	{"[1]", QMP_ERR_PROTOCOL, "not a QMP message"},
	{"\"text\"", QMP_ERR_PROTOCOL, "not a QMP message"},
	{"{\"a\": \"lost quote}\r\n", QMP_ERR_PROTOCOL, "not a QMP message"},
	{"{\"a\": 1]", QMP_ERR_PROTOCOL, "not valid JSON"},
	{"{\"a\": \"\\ud800\"}", QMP_ERR_PROTOCOL, "not valid JSON"},
	{"{\"return\": 1, \"return\": 2}", QMP_ERR_PROTOCOL, "not valid JSON: duplicate"},
	{"{\"return\": 1e999}", QMP_ERR_PROTOCOL, "not valid JSON"},
	{"{\"return\": 99999999999999999999}", QMP_ERR_PROTOCOL, "not valid JSON"},
	{"{}", QMP_ERR_PROTOCOL, "neither event nor reply"},
	{MOCK_GREETING, QMP_ERR_PROTOCOL, "neither event nor reply"},
	{"{\"event\": 1}", QMP_ERR_PROTOCOL, "neither event nor reply"},
	{"{\"return\": {}}", QMP_ERR_PROTOCOL, "a reply without an id"},
	{"{\"error\": 5, \"id\": \"libqmp-2\"}", QMP_ERR_PROTOCOL, "without class and desc"},
	{"{\"a\":[[[[[[[[[[[[[[[[", QMP_ERR_LIMIT, "nested deeper than 16 levels"},
	{"{\"a\":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
	 QMP_ERR_LIMIT, "of more than 32 values"},
	{"{\"a\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
	 QMP_ERR_LIMIT, "of more than 32 values"},
	{"{\"a\":\"---------------------------------------------------------------------------"
	 "-----------------------------------------------------------------------------------"
	 "----------------------------------------------------------------",
	 QMP_ERR_LIMIT, "longer than 200 bytes"},
};

START_TEST(broken_protocol)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct mock m;
	struct qmp *q;
	char first[21] = "";
	uint64_t id;

	options.max_depth = 16;
	options.max_message = 200;
	options.max_values = 32;
	hostile_text = hostiles[_i].says;
	q = mock_open(&m, hostile, &options);
	ck_assert_int_eq(qmp_execute(q, "query", NULL, LONG_MS, NULL), hostiles[_i].error);
	assert_text(q, hostiles[_i].text);

	/* A broken handle stays so, says why, and still gives what had come before. */
	memcpy(first, qmp_last_error(q)->text, 20);
	ck_assert_int_eq(qmp_execute(q, "query", NULL, LONG_MS, NULL), hostiles[_i].error);
	assert_text(q, first);
	ck_assert_int_eq(qmp_send(q, "query", NULL, -1, LONG_MS, &id), hostiles[_i].error);
	ck_assert_int_eq(qmp_dispatch(q), hostiles[_i].error);
	ck_assert_int_eq(qmp_wait_event(q, "OTHER", LONG_MS, NULL), hostiles[_i].error);
	assert_ok(q, qmp_wait_event(q, "BEFORE", LONG_MS, NULL));
	ck_assert_int_eq(qmp_wait_event(q, "BEFORE", LONG_MS, NULL), hostiles[_i].error);
	mock_stop(&m, q);
}
END_TEST

/* A whole session in one text, with everything that a wrong cut could hurt. */
static const char session_text[] = "\r\n \t" MOCK_EVENT(
	"ONE") "{\"event\": \"TWO \\\\\\\" }{ \\u00e9\\ud83d\\ude00 caf\xc3\xa9\"}"
	       "{\"return\": [18446744073709551615, -5, 9223372036854775807, "
	       "9223372036854775808, 1.5e3, \"\\\"18446744073709551615\"],\n"
	       "    \"id\": \"libqmp-2\"\r\n}\r\n" MOCK_EVENT("THREE");

static void check_session(struct qmp *q)
{
	static const uint64_t numbers[] = {UINT64_MAX, (uint64_t)-5, INT64_MAX,
					   (uint64_t)INT64_MAX + 1};
	json_t *value = NULL;

	assert_ok(q, qmp_execute(q, "query", NULL, LONG_MS, &value));
	ck_assert_uint_eq(json_array_size(value), 6);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq((uint64_t)json_integer_value(json_array_get(value, i)),
				  numbers[i]);
	ck_assert(json_real_value(json_array_get(value, 4)) == 1500.0);
	ck_assert_str_eq(json_string_value(json_array_get(value, 5)), "\"18446744073709551615");
	json_decref(value);
	assert_ok(q, qmp_wait_event(q, "THREE", LONG_MS, NULL));
	assert_event(qmp_take_event(q), "ONE");
	assert_event(qmp_take_event(q), "TWO \\\" }{ \xc3\xa9\xf0\x9f\x98\x80 caf\xc3\xa9");
	ck_assert_uint_eq(qmp_events_queued(q), 0);
}

static void byte_by_byte(struct mock *m)
{
	char id[64];

	for (size_t i = 0; MOCK_GREETING[i]; i++)
		mock_say_bytes(m, &MOCK_GREETING[i], 1);
	MOCK_CHECK(m, mock_serve(m, "qmp_capabilities", "{}"));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	for (size_t i = 0; session_text[i]; i++) {
		mock_say_bytes(m, session_text + i, 1);
		if (i % 16 == 0)
			mock_sleep_ms(1);
	}
	mock_silence(m);
}

START_TEST(byte_at_a_time)
{
	struct mock m;
	struct qmp *q = mock_open(&m, byte_by_byte, NULL);

	check_session(q);
	mock_stop(&m, q);
}
END_TEST

static size_t cut_at;

/* Waits until the client has read the first part, so that the cut is a cut. */
static void cut_once(struct mock *m)
{
	char id[64];
	int unread = 1;

	MOCK_CHECK(m, mock_handshake(m));
	MOCK_CHECK(m, mock_expect(m, "query", id, sizeof(id)));
	mock_say_bytes(m, session_text, cut_at);
	for (int i = 0; unread && i < LONG_MS; i++) {
		struct pollfd p = {.fd = m->client_fd, .events = POLLIN};

		unread = poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
		if (unread)
			mock_sleep_ms(1);
	}
	mock_say(m, session_text + cut_at);
	mock_silence(m);
}

START_TEST(cut_anywhere)
{
	/* Nobody reads the last line end when the last message is complete. */
	for (cut_at = 1; cut_at < sizeof(session_text) - 3; cut_at++) {
		struct qmp *q;
		struct mock m;

		mock_start(&m, cut_once);
		ck_assert_int_eq(qmp_adopt(m.client_fd, NULL, &q, NULL), QMP_OK);
		check_session(q);
		shutdown(qmp_fd(q), SHUT_RDWR);
		pthread_join(m.thread, NULL);
		ck_assert_ptr_null(m.failed);
		qmp_free(q);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp hostile");
	TCase *hostile_case = tcase_create("hostile");

	tcase_set_timeout(hostile_case, 60);
	tcase_add_loop_test(hostile_case, broken_protocol, 0,
			    (int)(sizeof(hostiles) / sizeof(hostiles[0])));
	tcase_add_test(hostile_case, byte_at_a_time);
	tcase_add_test(hostile_case, cut_anywhere);
	suite_add_tcase(suite, hostile_case);
	return mock_run(suite);
}
