// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a host profile: what is accepted can be written, read again and written the same. */
#include <stdlib.h>
#include <string.h>

#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *write_json(const struct nestmig_host *host)
{
	char *text = NULL;

	if (nestmig_host_json(host, &text))
		abort();
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nestmig_host *host = NULL, *again = NULL, *copy = NULL;
	struct nestmig_detail detail;
	char *first, *second, *text = NULL;

	if (nm_host_parse((const char *)data, size, &host, &detail))
		return 0;
	first = write_json(host);
	if (nm_host_parse(first, strlen(first), &again, &detail) || nm_host_dup(again, &copy))
		abort();
	second = write_json(copy);
	if (strcmp(first, second) || nestmig_host_text(copy, &text))
		abort();
	free(first);
	free(second);
	free(text);
	nestmig_host_free(host);
	nestmig_host_free(again);
	nestmig_host_free(copy);
	return 0;
}
