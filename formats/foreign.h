/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of other VMMs, which hold no nested state: recognised for the sake of an answer. */
#ifndef NESTMIG_FOREIGN_H
#define NESTMIG_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* Why a file that begins with these bytes is not read: a sentence, or NULL for any other file. */
const char *nm_foreign_reason(const uint8_t *head, size_t size);

#endif
