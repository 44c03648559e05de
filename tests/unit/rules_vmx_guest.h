/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on the guest state of a VMCS12: one row a rule. */
#ifndef NESTMIG_RULES_VMX_GUEST_H
#define NESTMIG_RULES_VMX_GUEST_H

#include "rules_vmx_vm.h"

/* The end of the list only (no rule): to be replaced by the first row. */
static const struct rule_case vmx_guest_cases[] = {{NESTMIG_RULES, {{0}}, {{0}}, {0}}};

#endif
