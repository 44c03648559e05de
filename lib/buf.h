/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A growing text, for the renderers. Errors stick: check once, in nm_buf_take. */
#ifndef NESTMIG_BUF_H
#define NESTMIG_BUF_H

#include "nestmig.h"

struct nm_buf {
	char *text;
	size_t used, size;
	bool failed;
};

__attribute__((format(printf, 2, 3))) void nm_buf_printf(struct nm_buf *buf, const char *format,
							 ...);
void nm_buf_puts(struct nm_buf *buf, const char *text);

/* Hands the text to the caller (who frees it), or NESTMIG_ERR_NOMEM; buf is empty afterwards. */
NESTMIG_CHECKED enum nestmig_error nm_buf_take(struct nm_buf *buf, char **ret_text);

#endif
