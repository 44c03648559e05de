/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The case of every rule: for the unit test of rules, and for the one that judges in the kernel. */
#ifndef NESTMIG_RULES_CASES_H
#define NESTMIG_RULES_CASES_H

#include "rules_control.h"
#include "rules_events.h"
#include "rules_smram.h"
#include "rules_state.h"
#include "rules_vmx_ctl.h"
#include "rules_vmx_guest.h"
#include "rules_vmx_memory.h"
#include "rules_vmx_guest_seg.h"
#include "rules_vmx_order.h"
#include "rules_vmx_state.h"
#include "rules_vmx_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const struct rule_case *cases;
	size_t count;
} tables[] = {
	{control_cases, COUNT(control_cases)},
	{event_cases, COUNT(event_cases)},
	{smram_cases, COUNT(smram_cases)},
	{header_cases, COUNT(header_cases)},
	{host_cases, COUNT(host_cases)},
	{l2_cases, COUNT(l2_cases)},
	{run_cases, COUNT(run_cases)},
	{vmx_ctl_cases, COUNT(vmx_ctl_cases)},
	{vmx_guest_cases, COUNT(vmx_guest_cases)},
	{vmx_guest_seg_cases, COUNT(vmx_guest_seg_cases)},
	{vmx_header_cases, COUNT(vmx_header_cases)},
	{vmx_host_cases, COUNT(vmx_host_cases)},
	{vmx_order_cases, COUNT(vmx_order_cases)},
	{vmx_memory_cases, COUNT(vmx_memory_cases)},
};

/* The one case of a rule, NULL if there is none or more than one. */
static const struct rule_case *rule_case_of(unsigned rule)
{
	const struct rule_case *found = NULL;

	for (size_t t = 0; t < COUNT(tables); t++) {
		for (size_t i = 0; i < tables[t].count; i++) {
			if (tables[t].cases[i].rule != rule)
				continue;
			if (found)
				return NULL;
			found = &tables[t].cases[i];
		}
	}
	return found;
}

/* The healthy guest that the case of a rule starts from. */
static void vm_for(struct vm *vm, const struct nm_rule *rule)
{
	if (rule - nm_rules >= NM_RULES_BEFORE_VMX) {
		vmx_vm_new(vm);
		if (rule->when == NM_WHEN_SMM)
			vmx_enter_smm(vm);
		return;
	}
	vm_new(vm);
	if (rule->when == NM_WHEN_SMM)
		vm_enter_smm(vm);
}

#endif
