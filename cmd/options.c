// SPDX-License-Identifier: GPL-2.0-or-later
/* Arguments of options. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>

bool option_number(const char *text, int low, int high, int *ret_number)
{
	long number;
	char *end;

	/* strtol takes blanks and a plus sign, too. */
	if ((*text < '0' || *text > '9') && *text != '-')
		return false;
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < low || number > high)
		return false;
	*ret_number = (int)number;
	return true;
}

int option_common(const struct command *self, int c, bool *json)
{
	if (c == 'h')
		return cli_help(self);
	if (c != 'j')
		return cli_wrong_option(self);
	*json = true;
	return -1;
}
