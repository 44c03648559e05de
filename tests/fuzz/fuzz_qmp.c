// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Fuzzing libqmp: the bytes are what a server sends. They are put into a socket pair before the
 * client starts, so nothing ever waits; the first byte chooses where they are cut and whether the
 * greeting and the reply to the negotiation are given for free.
 */
#include "qmp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_MESSAGE 4096

static const char opening[] = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, "
			      "\"major\": 9}, \"package\": \"\"}, \"capabilities\": []}}\r\n"
			      "{\"return\": {}, \"id\": \"libqmp-1\"}\r\n";

static void put(int fd, const void *data, size_t length)
{
	if (send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		abort();
}

static bool look_at(json_t *event, void *context)
{
	int *count = context;

	(void)qmp_event_time(event);
	if (!qmp_event_name(event))
		abort();
	return ++*count % 3 == 0;
}

/* What a caller does with a handle, and what has to hold whatever the server says. */
static void use(struct qmp *q, int server, const uint8_t *rest, size_t length)
{
	json_t *value = NULL;
	uint64_t id = 0;

	(void)!qmp_execute(q, "query", NULL, 0, &value);
	json_decref(value);
	if (length)
		put(server, rest, length);
	if (qmp_send(q, "query", NULL, -1, 0, &id) == QMP_OK) {
		value = NULL;
		(void)!qmp_wait_reply(q, id, 0, &value);
		json_decref(value);
		(void)!qmp_wait_event(q, "STOP", 0, NULL);
	}
	if (qmp_dispatch(q) && (!qmp_last_error(q)->code || !qmp_last_error(q)->text[0]))
		abort();
	if (qmp_events_queued(q) > 4)
		abort();
	json_decref(qmp_take_event(q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct qmp_options options = QMP_OPTIONS_INIT;
	struct qmp_error_info info;
	struct qmp *q = NULL;
	int count = 0;
	size_t cut;
	int pair[2];

	if (length < 2 || length > 2 * SMALL_MESSAGE || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 0;
	cut = 1 + (length - 1) * (data[0] & 0x7f) / 0x7f;
	if (data[0] & 0x80)
		put(pair[0], opening, sizeof(opening) - 1);
	if (cut > 1)
		put(pair[0], data + 1, cut - 1);
	if (!(data[0] & 0x80))
		shutdown(pair[0], SHUT_WR);

	options.timeout_ms = 1;
	options.max_message = SMALL_MESSAGE;
	options.max_values = 256;
	options.max_depth = 8;
	options.max_events = 4;
	options.on_event = look_at;
	options.on_event_context = &count;
	if (qmp_adopt(pair[1], &options, &q, &info)) {
		if (!info.code || !info.text[0])
			abort();
		close(pair[1]);
	} else {
		use(q, pair[0], data + cut, data[0] & 0x80 ? length - cut : 0);
		qmp_free(q);
	}
	close(pair[0]);
	return 0;
}
