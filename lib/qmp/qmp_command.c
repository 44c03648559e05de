// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Commands and their replies. Each command gets a number, sent as the string "libqmp-N", and a
 * place in a small table until its reply has been taken or is no longer wanted.
 */
#include "qmp_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void format_id(uint64_t id, char *to, size_t size)
{
	snprintf(to, size, "libqmp-%" PRIu64, id);
}

/* 0 finds a free place. */
static struct qmp_pending *find_pending(struct qmp *q, uint64_t id)
{
	for (size_t i = 0; i < QMP_LIMIT_PENDING; i++) {
		if (q->pending[i].id == id)
			return &q->pending[i];
	}
	return NULL;
}

static struct qmp_pending *oldest_unanswered(struct qmp *q)
{
	struct qmp_pending *oldest = NULL;

	for (size_t i = 0; i < QMP_LIMIT_PENDING; i++) {
		struct qmp_pending *p = &q->pending[i];

		if (p->id && !p->reply && (!oldest || p->id < oldest->id))
			oldest = p;
	}
	return oldest;
}

static struct qmp_pending *find_by_id_string(struct qmp *q, const char *id)
{
	for (size_t i = 0; i < QMP_LIMIT_PENDING; i++) {
		char ours[40];

		if (!q->pending[i].id)
			continue;
		format_id(q->pending[i].id, ours, sizeof(ours));
		if (!strcmp(ours, id))
			return &q->pending[i];
	}
	return NULL;
}

static void release(struct qmp_pending *p)
{
	json_decref(p->reply);
	*p = (struct qmp_pending){0};
}

/*
 * A reply has arrived. One to a command nobody waits for any more is ignored. QEMU leaves the id
 * out only when it could not read the command, which it reads in order, so such an error belongs
 * to the oldest one.
 */
enum qmp_error qmp_command_reply(struct qmp *q, json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	struct qmp_pending *p = NULL;

	if (json_is_string(id))
		p = find_by_id_string(q, json_string_value(id));
	else if (!id && json_object_get(message, "error"))
		p = oldest_unanswered(q);
	else if (!id)
		return qmp_break(q, QMP_ERR_PROTOCOL, 0, "%s sent a reply without an id", q->peer);
	if (p && !p->reply)
		p->reply = json_incref(message);
	return QMP_OK;
}

/* The command as text, or NULL. */
static char *make_text(uint64_t id, const char *command, json_t *arguments, size_t *ret_length)
{
	json_t *message = json_object();
	char id_string[40];
	char *text = NULL;
	int failed;

	format_id(id, id_string, sizeof(id_string));
	failed = json_object_set_new(message, "execute", json_string(command));
	if (arguments)
		failed |= json_object_set(message, "arguments", arguments);
	failed |= json_object_set_new(message, "id", json_string(id_string));
	if (!failed)
		text = json_dumps(message, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(message);
	if (!text)
		return NULL;

	/* The reader on the other side goes by brackets; the newline, in the place of the NUL,
	 * is for people who look at the traffic. */
	*ret_length = strlen(text) + 1;
	text[*ret_length - 1] = '\n';
	return text;
}

static enum qmp_error check_command(struct qmp *q, const char *command, const json_t *arguments,
				    int fd)
{
	enum qmp_error error = qmp_check_usable(q);

	if (error)
		return error;
	if (!command || !*command)
		return qmp_fail(q, QMP_ERR_INVALID, 0, "a command needs a name");
	if (arguments && !json_is_object(arguments))
		return qmp_fail(q, QMP_ERR_INVALID, 0,
				"the arguments of '%s' are not a JSON object", command);
	if (fd < 0)
		return QMP_OK;
	if (!q->is_unix)
		return qmp_fail(q, QMP_ERR_INVALID, 0,
				"a file descriptor can be passed over a unix socket only, and %s "
				"is none",
				q->peer);
	if (fcntl(fd, F_GETFD) < 0)
		return qmp_fail(q, QMP_ERR_INVALID, 0,
				"%d, to be passed with '%s', is not an open file descriptor", fd,
				command);
	return QMP_OK;
}

/* The command's place in the table, or NULL with the error in q->last. */
static struct qmp_pending *send_command(struct qmp *q, const char *command, json_t *arguments,
					int fd, const struct qmp_deadline *deadline)
{
	enum qmp_error error = check_command(q, command, arguments, fd);
	struct qmp_pending *p;
	size_t length;
	char *text;

	if (error)
		return NULL;
	if (q->broken.code) {
		qmp_fail_broken(q, "'%s' was not sent", command);
		return NULL;
	}
	p = find_pending(q, 0);
	if (!p) {
		qmp_fail(q, QMP_ERR_LIMIT, 0,
			 "'%s' was not sent: %d commands are outstanding already", command,
			 QMP_LIMIT_PENDING);
		return NULL;
	}
	text = make_text(q->next_id, command, arguments, &length);
	if (!text) {
		qmp_fail(q, QMP_ERR_INVALID, 0, "'%s' cannot be written as JSON", command);
		return NULL;
	}

	p->id = q->next_id++;
	qmp_copy_safe(p->command, sizeof(p->command), command, strlen(command));
	error = qmp_write(q, text, length, fd, deadline);
	free(text);
	if (!error)
		return p;
	release(p);
	if (q->broken.code)
		qmp_fail_broken(q, "while sending '%s'", command);
	else
		qmp_fail(q, error, 0, "%s did not take '%s' within %d ms", q->peer, command,
			 deadline->timeout_ms);
	return NULL;
}

static enum qmp_error take_reply(struct qmp *q, struct qmp_pending *p, json_t **ret_value)
{
	const json_t *refusal = json_object_get(p->reply, "error");
	enum qmp_error error = QMP_OK;

	if (refusal)
		error = qmp_fail_reply(q, p->command, refusal);
	else if (ret_value)
		*ret_value = json_incref(json_object_get(p->reply, "return"));
	release(p);
	return error;
}

static enum qmp_error await_reply(struct qmp *q, struct qmp_pending *p,
				  struct qmp_deadline *deadline, json_t **ret_value)
{
	while (!p->reply) {
		enum qmp_error error = qmp_read_wait(q, deadline);

		if (!error || p->reply)
			continue;
		if (!q->broken.code)
			return qmp_fail(q, error, 0, "no reply to '%s' from %s within %d ms",
					p->command, q->peer, deadline->timeout_ms);
		error = qmp_fail_broken(q, "while waiting for the reply to '%s'", p->command);
		if (error != QMP_ERR_TIMEOUT)
			release(p);
		return error;
	}
	return take_reply(q, p, ret_value);
}

/* Send and wait. */
enum qmp_error qmp_command(struct qmp *q, const char *command, json_t *arguments, int fd,
			   struct qmp_deadline *deadline, json_t **ret_value)
{
	struct qmp_pending *p = send_command(q, command, arguments, fd, deadline);
	enum qmp_error error;

	if (!p)
		return q->last.code;
	error = await_reply(q, p, deadline, ret_value);
	if (error == QMP_ERR_TIMEOUT && p->id)
		release(p);
	return error;
}

enum qmp_error qmp_execute(struct qmp *q, const char *command, json_t *arguments, int timeout_ms,
			   json_t **ret_value)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);

	return qmp_command(q, command, arguments, -1, &deadline, ret_value);
}

enum qmp_error qmp_execute_fd(struct qmp *q, const char *command, json_t *arguments, int fd,
			      int timeout_ms, json_t **ret_value)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);

	if (fd < 0)
		return qmp_fail(q, QMP_ERR_INVALID, 0, "no file descriptor to pass with '%s'",
				command ? command : "");
	return qmp_command(q, command, arguments, fd, &deadline, ret_value);
}

enum qmp_error qmp_execute_pack(struct qmp *q, int timeout_ms, json_t **ret_value,
				const char *command, const char *format, ...)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);
	json_error_t why = {0};
	enum qmp_error error;
	json_t *arguments;
	va_list args;

	va_start(args, format);
	arguments = json_vpack_ex(&why, 0, format, args);
	va_end(args);
	if (!arguments)
		return qmp_fail(q, QMP_ERR_INVALID, 0, "the arguments of '%s' cannot be built: %s",
				command ? command : "", why.text);
	error = qmp_command(q, command, arguments, -1, &deadline, ret_value);
	json_decref(arguments);
	return error;
}

enum qmp_error qmp_send(struct qmp *q, const char *command, json_t *arguments, int fd,
			int timeout_ms, uint64_t *ret_id)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);
	struct qmp_pending *p = send_command(q, command, arguments, fd, &deadline);

	if (!p)
		return q->last.code;
	*ret_id = p->id;
	return QMP_OK;
}

enum qmp_error qmp_wait_reply(struct qmp *q, uint64_t id, int timeout_ms, json_t **ret_value)
{
	struct qmp_deadline deadline = qmp_deadline_in(timeout_ms);
	enum qmp_error error = qmp_check_usable(q);
	struct qmp_pending *p = id ? find_pending(q, id) : NULL;

	if (error)
		return error;
	if (!p)
		return qmp_fail(q, QMP_ERR_INVALID, 0, "no command %" PRIu64 " is outstanding", id);
	return await_reply(q, p, &deadline, ret_value);
}

void qmp_forget(struct qmp *q, uint64_t id)
{
	struct qmp_pending *p = id ? find_pending(q, id) : NULL;

	if (p)
		release(p);
}
