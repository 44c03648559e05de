// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a message is: the greeting, an event or a reply. */
#include "qmp_internal.h"

#include <string.h>

static enum qmp_error take_greeting(struct qmp *q, json_t *message)
{
	const char *package = NULL;
	struct qmp_version v = {0};

	if (json_unpack(message, "{s:{s:{s:{s:i, s:i, s:i}, s?:s}}}", "QMP", "version", "qemu",
			"major", &v.major, "minor", &v.minor, "micro", &v.micro, "package",
			&package))
		return qmp_break(q, QMP_ERR_GREETING, 0,
				 "the first message from %s is not a QMP greeting: has the "
				 "connection been used before?",
				 q->peer);
	if (package)
		qmp_copy_safe(v.package, sizeof(v.package), package, strlen(package));
	q->version = v;
	q->greeting = json_incref(message);
	q->has_greeting = true;
	return QMP_OK;
}

static bool is_error_object(const json_t *error)
{
	return json_is_string(json_object_get(error, "class")) &&
	       json_is_string(json_object_get(error, "desc"));
}

static enum qmp_error sort_message(struct qmp *q, json_t *message, size_t bytes)
{
	const json_t *error = json_object_get(message, "error");

	if (!q->has_greeting)
		return take_greeting(q, message);
	if (json_is_string(json_object_get(message, "event"))) {
		qmp_event_arrived(q, message, bytes);
		return QMP_OK;
	}
	if (error && !is_error_object(error))
		return qmp_break(q, QMP_ERR_PROTOCOL, 0,
				 "%s sent an error reply without class and desc", q->peer);
	if (error || json_object_get(message, "return"))
		return qmp_command_reply(q, message);
	return qmp_break(q, QMP_ERR_PROTOCOL, 0,
			 "%s sent a message that is neither event nor reply", q->peer);
}

/* One complete message. On failure the handle is broken. */
enum qmp_error qmp_handle_message(struct qmp *q, const char *text, size_t length)
{
	json_error_t why = {0};
	json_t *message = qmp_parse(text, length, &why);
	enum qmp_error error;

	if (!message && json_error_code(&why) == json_error_out_of_memory)
		return qmp_break(q, QMP_ERR_NOMEM, 0, "no memory for a message from %s", q->peer);
	if (!message)
		return qmp_break(q, q->has_greeting ? QMP_ERR_PROTOCOL : QMP_ERR_GREETING, 0,
				 "%s sent a message that is not valid JSON: %s (at byte %d of it)",
				 q->peer, why.text, why.position);
	error = sort_message(q, message, length);
	json_decref(message);
	return error;
}
