/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KVM says of its own refusals, and the rules that stand for it. */
#ifndef DIFFERENTIAL_REASONS_H
#define DIFFERENTIAL_REASONS_H

#include <stdbool.h>
#include <stdio.h>

/* One line a condition: "reason TEXT | IDS"; false after complaining of a rule that does not exist. */
bool reasons_print(FILE *out);

#endif
