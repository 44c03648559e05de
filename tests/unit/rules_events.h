/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on events, sregs, debug registers and mp_state. */
#ifndef NESTMIG_RULES_EVENTS_H
#define NESTMIG_RULES_EVENTS_H

#include "rules_vm.h"

static const struct rule_case event_cases[] = {{NESTMIG_RULES, {{0}}, {{0}}, {0}}};

#endif
