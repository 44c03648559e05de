/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON strings from texts that may be anything, such as file names. */
#ifndef NESTMIG_JSONTEXT_H
#define NESTMIG_JSONTEXT_H

#include <jansson.h>

/* A new string; where text is not UTF-8, with '?' for every byte beyond ASCII. JSON null for NULL.
 */
json_t *nm_json_text(const char *text);

#endif
