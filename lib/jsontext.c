// SPDX-License-Identifier: LGPL-2.1-or-later
/* JSON strings from texts that may be anything. */
#include "jsontext.h"

#include <stdlib.h>
#include <string.h>

json_t *nm_json_text(const char *text)
{
	json_t *json;
	char *copy;

	if (!text)
		return json_null();
	json = json_string(text);
	if (json)
		return json;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	json = json_string(copy);
	free(copy);
	return json;
}
