/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on SMRAM. */
#ifndef NESTMIG_RULES_SMRAM_H
#define NESTMIG_RULES_SMRAM_H

#include "rules_vm.h"

static const struct rule_case smram_cases[] = {{NESTMIG_RULES, {{0}}, {{0}}, {0}}};

#endif
