// SPDX-License-Identifier: LGPL-2.1-or-later
/* Error names, and how details are filled. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *nestmig_error_name(enum nestmig_error error)
{
	static const char *const names[] = {
		[NESTMIG_OK] = "ok",
		[NESTMIG_ERR_IO] = "io",
		[NESTMIG_ERR_NOMEM] = "no-memory",
		[NESTMIG_ERR_FORMAT] = "format",
		[NESTMIG_ERR_TRUNCATED] = "truncated",
		[NESTMIG_ERR_CHECKSUM] = "checksum",
		[NESTMIG_ERR_UNSUPPORTED] = "unsupported",
		[NESTMIG_ERR_LIMIT] = "limit",
		[NESTMIG_ERR_INVALID] = "invalid-argument",
		[NESTMIG_ERR_NOT_FOUND] = "not-found",
		[NESTMIG_ERR_CAPABILITY] = "missing-capability",
		[NESTMIG_ERR_QMP] = "qmp",
		[NESTMIG_ERR_TIMEOUT] = "timeout",
		[NESTMIG_ERR_CANCELLED] = "cancelled",
	};

	if ((size_t)error >= sizeof(names) / sizeof(names[0]) || !names[error])
		return "unknown";
	return names[error];
}

static void fill(struct nestmig_detail *detail, const char *format, va_list args)
{
	memset(detail, 0, sizeof(*detail));
	vsnprintf(detail->text, sizeof(detail->text), format, args);
	/* Names from a hostile file must not reach a terminal as they are. */
	for (char *p = detail->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

enum nestmig_error nm_fail(struct nestmig_detail *detail, enum nestmig_error error,
			   const char *format, ...)
{
	va_list args;

	if (!detail)
		return error;
	va_start(args, format);
	fill(detail, format, args);
	va_end(args);
	return error;
}

enum nestmig_error nm_fail_at(struct nestmig_detail *detail, enum nestmig_error error,
			      uint64_t offset, const char *format, ...)
{
	va_list args;

	if (!detail)
		return error;
	va_start(args, format);
	fill(detail, format, args);
	va_end(args);
	detail->has_offset = true;
	detail->offset = offset;
	return error;
}

enum nestmig_error nm_fail_errno(struct nestmig_detail *detail, const char *format, ...)
{
	int saved = errno;
	size_t used;
	va_list args;

	if (!detail)
		return NESTMIG_ERR_IO;
	va_start(args, format);
	fill(detail, format, args);
	va_end(args);
	detail->sys_errno = saved;
	used = strlen(detail->text);
	snprintf(detail->text + used, sizeof(detail->text) - used, ": %s", strerror(saved));
	return NESTMIG_ERR_IO;
}
