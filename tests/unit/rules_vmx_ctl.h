/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks and what satisfies the rules on L1's controls: one row a rule. */
#ifndef NESTMIG_RULES_VMX_CTL_H
#define NESTMIG_RULES_VMX_CTL_H

#include "rules_vmx_vm.h"

static const struct rule_case vmx_ctl_cases[] = {
	{NESTMIG_RULE_vmx_pin_allowed0, {PIN(HEALTHY_PIN & ~0x2)}, {PIN(HEALTHY_PIN)}, {0}},
	{NESTMIG_RULE_vmx_pin_allowed1,
	 {PIN(HEALTHY_PIN | 0x100)},
	 {PIN(HEALTHY_PIN | PIN_TIMER)},
	 {0}},
};

#endif
