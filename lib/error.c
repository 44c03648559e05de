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
		[NESTMIG_ERR_LIBVIRT] = "libvirt",
	};

	if ((size_t)error >= sizeof(names) / sizeof(names[0]) || !names[error])
		return "unknown";
	return names[error];
}

size_t nm_printable_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c;

	if (p[0] < 0x80)
		return p[0] >= ' ' && p[0] != 0x7f;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	c = p[0] & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* C1 controls, and what turns the direction of text (Unicode 15, Bidi_Control). */
	if (c < 0xa0 || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069))
		return 0;
	return length;
}

void nm_make_printable(char *text)
{
	while (*text) {
		size_t length = nm_printable_length(text);

		if (!length)
			*text = '?';
		text += length ? length : 1;
	}
}

void nm_hide_passwords(char *text)
{
	while ((text = strstr(text, "://"))) {
		char *user = text + 3, *end = user + strcspn(user, "/?# \t\n\"'");
		char *at = memrchr(user, '@', (size_t)(end - user));
		char *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;

		text = user;
		if (!colon || at - colon < 2)
			continue;
		colon[1] = '*';
		memmove(colon + 2, at, strlen(at) + 1);
	}
}

static void fill(struct nestmig_detail *detail, const char *format, va_list args)
{
	memset(detail, 0, sizeof(*detail));
	vsnprintf(detail->text, sizeof(detail->text), format, args);
	/* Names from a hostile file must not reach a terminal as they are. */
	nm_make_printable(detail->text);
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
