/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments of options. */
#ifndef NESTMIG_OPTIONS_H
#define NESTMIG_OPTIONS_H

#include <stdbool.h>

#include "cli.h"

/* A decimal number from low to high, and nothing else. */
bool option_number(const char *text, int low, int high, int *ret_number);

/* --json, --help and what is no option of a command: an exit code to end with, or -1 to go on. */
int option_common(const struct command *self, int c, bool *json);

#endif
