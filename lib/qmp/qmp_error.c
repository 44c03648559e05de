// SPDX-License-Identifier: LGPL-2.1-or-later
/* Errors: their names, their texts, and the difference between a failed call and a broken handle.
 */
#include "qmp_internal.h"

#include <stdio.h>
#include <string.h>

const char *qmp_strerror(enum qmp_error error)
{
	switch (error) {
	case QMP_OK:
		return "no error";
	case QMP_ERR_INVALID:
		return "invalid parameter or call";
	case QMP_ERR_NOMEM:
		return "out of memory";
	case QMP_ERR_ADDRESS:
		return "address not usable";
	case QMP_ERR_CONNECT:
		return "connection failed";
	case QMP_ERR_IO:
		return "input or output error";
	case QMP_ERR_TIMEOUT:
		return "timed out";
	case QMP_ERR_CLOSED:
		return "connection closed by the server";
	case QMP_ERR_GREETING:
		return "no QMP greeting";
	case QMP_ERR_PROTOCOL:
		return "protocol error";
	case QMP_ERR_LIMIT:
		return "limit exceeded";
	case QMP_ERR_COMMAND:
		return "command failed";
	}
	return "unknown error";
}

static void QMP_PRINTF(4, 0) info_vset(struct qmp_error_info *info, enum qmp_error code,
				       int sys_errno, const char *format, va_list args)
{
	char raw[sizeof(info->text)];
	int length;

	if (!info)
		return;
	length = vsnprintf(raw, sizeof(raw), format, args);
	if (length < 0)
		raw[0] = 0;
	memset(info, 0, sizeof(*info));
	info->code = code;
	info->sys_errno = sys_errno;
	qmp_copy_safe(info->text, sizeof(info->text), raw, strlen(raw));
}

/* @info may be NULL. */
void qmp_info_set(struct qmp_error_info *info, enum qmp_error code, int sys_errno,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	info_vset(info, code, sys_errno, format, args);
	va_end(args);
}

/* This call fails, the connection stays as it is. */
enum qmp_error qmp_fail(struct qmp *q, enum qmp_error code, int sys_errno, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	info_vset(&q->last, code, sys_errno, format, args);
	va_end(args);
	return code;
}

/* The connection has come to its end. The first reason stays. */
enum qmp_error qmp_break(struct qmp *q, enum qmp_error code, int sys_errno, const char *format, ...)
{
	va_list args;

	if (q->broken.code)
		return q->broken.code;
	va_start(args, format);
	info_vset(&q->broken, code, sys_errno, format, args);
	va_end(args);
	return code;
}

/* This call fails because the connection is broken; says what the call wanted. */
enum qmp_error qmp_fail_broken(struct qmp *q, const char *format, ...)
{
	char doing[256];
	va_list args;

	va_start(args, format);
	vsnprintf(doing, sizeof(doing), format, args);
	va_end(args);
	return qmp_fail(q, q->broken.code, q->broken.sys_errno, "%s (%s)", q->broken.text, doing);
}

/* This call fails because the server answered with an error object. */
enum qmp_error qmp_fail_reply(struct qmp *q, const char *command, const json_t *error)
{
	const json_t *class = json_object_get(error, "class");
	const json_t *desc = json_object_get(error, "desc");
	struct qmp_error_info info;

	qmp_copy_safe(info.error_class, sizeof(info.error_class), json_string_value(class),
		      json_string_length(class));
	qmp_copy_safe(info.error_desc, sizeof(info.error_desc), json_string_value(desc),
		      json_string_length(desc));
	qmp_fail(q, QMP_ERR_COMMAND, 0, "'%s' failed: %s (%s)", command, info.error_desc,
		 info.error_class);
	memcpy(q->last.error_class, info.error_class, sizeof(info.error_class));
	memcpy(q->last.error_desc, info.error_desc, sizeof(info.error_desc));
	return QMP_ERR_COMMAND;
}

/* For the calls that read or send: an event callback may not make them, since it is called while
 * the handle is reading. */
enum qmp_error qmp_check_usable(struct qmp *q)
{
	if (q->in_callback)
		return qmp_fail(q, QMP_ERR_INVALID, 0,
				"an event callback may not read from or send to its own handle");
	return QMP_OK;
}
