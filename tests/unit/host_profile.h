/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles that tests write down as JSON. */
#ifndef TESTS_HOST_PROFILE_H
#define TESTS_HOST_PROFILE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* The profile {"schema":..., MEMBERS}, with ' for ". */
static inline struct nestmig_host *profile(const char *members)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	char text[8192];

	snprintf(text, sizeof(text), "{'schema':'nestmig.host/1'%s%s}", *members ? "," : "",
		 members);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	ck_assert_msg(!nm_host_parse(text, strlen(text), &host, &detail), "%s: %s", detail.text,
		      text);
	return host;
}

#endif
