// SPDX-License-Identifier: LGPL-2.1-or-later
/* A growing text, for the renderers. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct nm_buf *buf, size_t more)
{
	size_t size = buf->size ? buf->size : 1024;
	char *text;

	if (buf->failed)
		return false;
	while (size - buf->used <= more)
		size *= 2;
	if (size == buf->size)
		return true;
	text = realloc(buf->text, size);
	if (!text) {
		buf->failed = true;
		return false;
	}
	buf->text = text;
	buf->size = size;
	return true;
}

void nm_buf_puts(struct nm_buf *buf, const char *text)
{
	size_t length = strlen(text);

	if (!reserve(buf, length))
		return;
	memcpy(buf->text + buf->used, text, length + 1);
	buf->used += length;
}

void nm_buf_printf(struct nm_buf *buf, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 || !reserve(buf, (size_t)length)) {
		buf->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(buf->text + buf->used, buf->size - buf->used, format, args);
	va_end(args);
	buf->used += (size_t)length;
}

enum nestmig_error nm_buf_take(struct nm_buf *buf, char **ret_text)
{
	if (!buf->failed && !buf->text)
		nm_buf_puts(buf, "");
	if (buf->failed) {
		free(buf->text);
		*buf = (struct nm_buf){0};
		return NESTMIG_ERR_NOMEM;
	}
	*ret_text = buf->text;
	*buf = (struct nm_buf){0};
	return NESTMIG_OK;
}
