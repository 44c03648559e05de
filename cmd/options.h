/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments of options. */
#ifndef NESTMIG_OPTIONS_H
#define NESTMIG_OPTIONS_H

#include <stdbool.h>

/* A decimal number from low to high, and nothing else. */
bool option_number(const char *text, int low, int high, int *ret_number);

#endif
