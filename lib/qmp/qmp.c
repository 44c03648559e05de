// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handle: opening (connect or adopt, greeting, negotiation), freeing, what it tells. */
#include "qmp_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The options of a caller, who may have been compiled with an older or a newer struct, with the
 * defaults filled in. */
static enum qmp_error read_options(const struct qmp_options *given, struct qmp_options *ret,
				   struct qmp_error_info *info)
{
	struct qmp_options o = QMP_OPTIONS_INIT;
	size_t known = sizeof(o);

	if (given) {
		const unsigned char *bytes = (const unsigned char *)given;
		bool bad = given->size < sizeof(given->size);

		for (size_t i = known; i < given->size; i++)
			bad |= bytes[i];
		if (bad) {
			qmp_info_set(info, QMP_ERR_INVALID, 0,
				     "struct qmp_options has no valid size, or sets an option this "
				     "version of libqmp does not know");
			return QMP_ERR_INVALID;
		}
		memcpy(&o, given, given->size < known ? given->size : known);
	}
	if (o.max_depth > QMP_LIMIT_DEPTH || (o.flags & ~QMP_CONNECT_RETRY)) {
		qmp_info_set(info, QMP_ERR_INVALID, 0,
			     "max_depth %u or flags 0x%x of struct qmp_options is out of range",
			     o.max_depth, o.flags);
		return QMP_ERR_INVALID;
	}

	o.timeout_ms = o.timeout_ms ? o.timeout_ms : QMP_DEFAULT_TIMEOUT_MS;
	o.max_message = o.max_message ? o.max_message : QMP_DEFAULT_MAX_MESSAGE;
	o.max_values = o.max_values ? o.max_values : QMP_DEFAULT_MAX_VALUES;
	o.max_depth = o.max_depth ? o.max_depth : QMP_DEFAULT_MAX_DEPTH;
	o.max_events = o.max_events ? o.max_events : QMP_DEFAULT_MAX_EVENTS;
	o.max_event_bytes = o.max_event_bytes ? o.max_event_bytes : QMP_DEFAULT_MAX_EVENT_BYTES;
	*ret = o;
	return QMP_OK;
}

static enum qmp_error check_socket(int fd, bool *ret_is_unix, struct qmp_error_info *info)
{
	int type = 0;
	int domain = 0;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size)) {
		qmp_info_set(info, QMP_ERR_INVALID, errno, "descriptor %d is not a socket: %s", fd,
			     strerror(errno));
		return QMP_ERR_INVALID;
	}
	if (type != SOCK_STREAM) {
		qmp_info_set(info, QMP_ERR_INVALID, 0, "descriptor %d is not a stream socket", fd);
		return QMP_ERR_INVALID;
	}
	*ret_is_unix = domain == AF_UNIX;
	return QMP_OK;
}

static enum qmp_error await_greeting(struct qmp *q, struct qmp_deadline *deadline)
{
	while (!q->has_greeting) {
		enum qmp_error error = qmp_read_wait(q, deadline);

		if (!error || q->has_greeting)
			continue;
		if (q->broken.code)
			return qmp_fail_broken(q, "while waiting for the QMP greeting");
		return qmp_fail(q, error, 0,
				"no QMP greeting from %s within %d ms: is this the socket of "
				"`-qmp`, or is another client connected?",
				q->peer, deadline->timeout_ms);
	}
	return QMP_OK;
}

/* A handle for the socket, greeted and negotiated. The socket stays the caller's on failure. */
static enum qmp_error open_handle(int fd, const char *peer, const struct qmp_options *o,
				  struct qmp_deadline *deadline, struct qmp **ret_qmp,
				  struct qmp_error_info *info)
{
	enum qmp_error error;
	bool is_unix;
	struct qmp *q;

	error = check_socket(fd, &is_unix, info);
	if (error)
		return error;
	q = calloc(1, sizeof(*q));
	if (!q) {
		qmp_info_set(info, QMP_ERR_NOMEM, ENOMEM, "no memory for a QMP handle");
		return QMP_ERR_NOMEM;
	}
	q->fd = fd;
	q->is_unix = is_unix;
	q->next_id = 1;
	q->on_event = o->on_event;
	q->on_event_context = o->on_event_context;
	q->limits = (struct qmp_limits){
		.message = o->max_message,
		.values = o->max_values,
		.depth = o->max_depth,
		.events = o->max_events,
		.event_bytes = o->max_event_bytes,
	};
	qmp_copy_safe(q->peer, sizeof(q->peer), peer, strlen(peer));

	error = await_greeting(q, deadline);
	if (!error)
		error = qmp_command(q, "qmp_capabilities", NULL, -1, deadline, NULL);
	if (!error) {
		*ret_qmp = q;
		return QMP_OK;
	}
	if (info)
		*info = q->last;
	q->fd = -1;
	qmp_free(q);
	return error;
}

enum qmp_error qmp_connect(const char *address, const struct qmp_options *options,
			   struct qmp **ret_qmp, struct qmp_error_info *ret_info)
{
	struct qmp_deadline deadline;
	struct qmp_options o;
	enum qmp_error error;
	int fd;

	if (!address || !ret_qmp) {
		qmp_info_set(ret_info, QMP_ERR_INVALID, 0,
			     "qmp_connect() needs an address and a "
			     "place for the handle");
		return QMP_ERR_INVALID;
	}
	error = read_options(options, &o, ret_info);
	if (error)
		return error;
	deadline = qmp_deadline_in(o.timeout_ms);
	error = qmp_address_connect(address, o.flags, &deadline, &fd, ret_info);
	if (error)
		return error;
	error = open_handle(fd, address, &o, &deadline, ret_qmp, ret_info);
	if (error)
		close(fd);
	return error;
}

enum qmp_error qmp_adopt(int fd, const struct qmp_options *options, struct qmp **ret_qmp,
			 struct qmp_error_info *ret_info)
{
	struct qmp_deadline deadline;
	struct qmp_options o;
	enum qmp_error error;
	char peer[40];

	if (!ret_qmp) {
		qmp_info_set(ret_info, QMP_ERR_INVALID, 0,
			     "qmp_adopt() needs a place for the handle");
		return QMP_ERR_INVALID;
	}
	error = read_options(options, &o, ret_info);
	if (error)
		return error;
	deadline = qmp_deadline_in(o.timeout_ms);
	snprintf(peer, sizeof(peer), "descriptor %d", fd);
	return open_handle(fd, peer, &o, &deadline, ret_qmp, ret_info);
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	qmp_flush_events(q);
	for (size_t i = 0; i < QMP_LIMIT_PENDING; i++)
		json_decref(q->pending[i].reply);
	json_decref(q->greeting);
	free(q->in);
	free(q);
}

const struct qmp_version *qmp_version(const struct qmp *q)
{
	return &q->version;
}

const json_t *qmp_greeting(const struct qmp *q)
{
	return q->greeting;
}

int qmp_fd(const struct qmp *q)
{
	return q->fd;
}

const struct qmp_error_info *qmp_last_error(const struct qmp *q)
{
	return &q->last;
}

enum qmp_error qmp_dispatch(struct qmp *q)
{
	struct qmp_deadline now = qmp_deadline_in(0);
	enum qmp_error error = qmp_check_usable(q);

	if (error)
		return error;
	do {
		error = qmp_read_wait(q, &now);
	} while (!error);
	if (error == QMP_ERR_TIMEOUT && !q->broken.code)
		return QMP_OK;
	return qmp_fail_broken(q, "while reading what had come");
}
