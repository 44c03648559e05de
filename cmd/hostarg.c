// SPDX-License-Identifier: GPL-2.0-or-later
/* The argument of --host. */
#include "hostarg.h"

#include <stdio.h>
#include <string.h>

bool host_argument_is_live(const char *argument)
{
	return argument && strcmp(argument, "live") == 0;
}

static void advise(struct nestmig_detail *detail)
{
	size_t used = strlen(detail->text);

	snprintf(detail->text + used, sizeof(detail->text) - used,
		 "; --host takes a profile from elsewhere, or \"none\"");
}

enum nestmig_error host_argument(const char *argument, const struct nestmig_state *state,
				 struct nestmig_host **ret_host, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	if (argument && strcmp(argument, "none") == 0) {
		*ret_host = NULL;
		return NESTMIG_OK;
	}
	if (host_argument_is_live(argument)) {
		error = nestmig_host_live(ret_host, detail);
		if (error == NESTMIG_ERR_CAPABILITY)
			advise(detail);
		return error;
	}
	if (argument)
		return nestmig_host_load(argument, ret_host, detail);
	error = nestmig_host_of_state(state, ret_host, detail);
	if (error != NESTMIG_ERR_NOT_FOUND)
		return error;
	*ret_host = NULL;
	return NESTMIG_OK;
}
