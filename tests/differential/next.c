// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In which order a VMLAUNCH or VMRESUME of L1 meets what is wrong: nested_vmx_run and
 * nested_vmx_enter_non_root_mode of 6.1, then the processor.
 */
#include "next.h"

#include <string.h>

#include "host.h"
#include "peculiar.h"
#include "vmcs/vmcs12.h"

enum step {
	STEP_SHADOW_BIT,   /* VMfailInvalid */
	STEP_CONTROLS,     /* nested_vmx_check_controls */
	STEP_HOST_STATE,   /* nested_vmx_check_address_space_size, nested_vmx_check_host_state */
	STEP_PAGES,        /* nested_get_vmcs12_pages */
	STEP_GUEST_STATE,  /* nested_vmx_check_guest_state */
	STEP_EMULATION,    /* prepare_vmcs02: vmx_guest_state_valid */
	STEP_CR3,          /* nested_vmx_load_cr3 */
	STEP_MSRS,         /* nested_vmx_load_msr */
	STEP_ROOT,         /* mmu_check_root */
	STEP_PROCESSOR_7,  /* the processor's checks of controls */
	STEP_PROCESSOR_33, /* and of guest state */
	STEPS
};

static enum nm_consequence row_of(const struct nm_rule *rule, uint32_t kernel)
{
	return rule->changed && kernel >= rule->changed ? rule->after : rule->before;
}

/* The step that a broken rule of a current VMCS12 is met at, STEPS if none. */
static enum step step_of(const struct nm_rule *rule, const struct nestmig_ctx *ctx)
{
	switch (row_of(rule, ctx->h->kernel)) {
	case NM_CONSEQUENCE_NEXT_ENTRY_FAILS:
		return STEP_SHADOW_BIT;
	case NM_CONSEQUENCE_VMX_CONTROLS:
	case NM_CONSEQUENCE_NEXT_VMFAIL_7:
		return STEP_CONTROLS;
	case NM_CONSEQUENCE_VMX_HOST_STATE:
	case NM_CONSEQUENCE_NEXT_VMFAIL_8:
		return STEP_HOST_STATE;
	case NM_CONSEQUENCE_FIRST_RUN_INTERNAL_ERROR:
	case NM_CONSEQUENCE_NEXT_INTERNAL_ERROR:
		return STEP_PAGES;
	case NM_CONSEQUENCE_VMX_GUEST_STATE:
	case NM_CONSEQUENCE_NEXT_EXIT_33:
		return STEP_GUEST_STATE;
	case NM_CONSEQUENCE_EMULATION_REQUIRED:
		return STEP_EMULATION;
	case NM_CONSEQUENCE_VMX_SEGMENT:
		return nm_vmx_segment(ctx) == NM_CONSEQUENCE_VMENTRY_EXIT_33 ? STEP_PROCESSOR_33
									     : STEP_EMULATION;
	case NM_CONSEQUENCE_SET_NESTED_STATE_2:
	case NM_CONSEQUENCE_FIRST_RUN_PDPTRS:
		return STEP_CR3;
	case NM_CONSEQUENCE_VMENTRY_EXIT_34:
	case NM_CONSEQUENCE_NEXT_EXIT_34:
		return STEP_MSRS;
	case NM_CONSEQUENCE_VMX_ROOT_TRIPLE_FAULT:
		return STEP_ROOT;
	case NM_CONSEQUENCE_LATE_VMFAIL_7:
		return STEP_PROCESSOR_7;
	case NM_CONSEQUENCE_VMENTRY_EXIT_33:
		return STEP_PROCESSOR_33;
	default:
		return STEPS;
	}
}

static void name_step(enum step step, struct next_entry *next)
{
	static const enum nm_consequence rows[STEPS] = {
		[STEP_SHADOW_BIT] = NM_CONSEQUENCE_NEXT_ENTRY_FAILS,
		[STEP_CONTROLS] = NM_CONSEQUENCE_NEXT_VMFAIL_7,
		[STEP_HOST_STATE] = NM_CONSEQUENCE_NEXT_VMFAIL_8,
		[STEP_PAGES] = NM_CONSEQUENCE_NEXT_INTERNAL_ERROR,
		[STEP_GUEST_STATE] = NM_CONSEQUENCE_NEXT_EXIT_33,
		[STEP_EMULATION] = NM_CONSEQUENCE_NEXT_EXIT_33,
		[STEP_CR3] = NM_CONSEQUENCE_NEXT_EXIT_33,
		[STEP_MSRS] = NM_CONSEQUENCE_NEXT_EXIT_34,
		[STEP_ROOT] = NM_CONSEQUENCE_NEXT_ROOT_RUN_EIO,
		[STEP_PROCESSOR_7] = NM_CONSEQUENCE_NEXT_VMFAIL_7,
		[STEP_PROCESSOR_33] = NM_CONSEQUENCE_NEXT_EXIT_33,
	};

	next->row = nm_consequences[rows[step]].name;
	next->outcome = nm_consequences[rows[step]].outcome;
	if (step == STEP_SHADOW_BIT)
		next->outcome = "vmfail-invalid";
	else if (step == STEP_ROOT)
		next->outcome = "run-error EIO";
}

bool next_is_after_rsm(const struct nestmig_vcpu_view *view)
{
	return view->events.smi_smm && (view->nested.vmx_smm_flags & VMX_SMM_GUEST_MODE);
}

/* Could a rule that is not decided come first? */
static bool is_open(const struct nm_vcpu_report *report, const struct nestmig_ctx *ctx,
		    enum step first)
{
	for (size_t i = 0; i < report->undecided_count; i++) {
		const struct nm_rule *rule = report->undecided[i].rule;

		if ((rule->when == NM_WHEN_VMCS12 || rule->when == NM_WHEN_VMX_L1) &&
		    step_of(rule, ctx) <= first && step_of(rule, ctx) != STEPS)
			return true;
	}
	return false;
}

void next_find(const struct nestmig_state *state, const struct nm_vcpu_report *report,
	       bool as_emulated, struct next_entry *ret_next)
{
	enum step first = STEPS, steps[NESTMIG_RULES];
	struct nestmig_ctx ctx;
	struct nm_order order;

	*ret_next = (struct next_entry){0};
	if (next_is_after_rsm(&state->vcpus[0].view))
		return;
	nm_order_parse(state->restore_order, &order);
	nm_ctx_init(&ctx, state, &state->vcpus[0], &state->host->view, &order);
	for (size_t i = 0; i < report->finding_count; i++) {
		const struct nm_finding *finding = &report->findings[i];
		bool counts = nm_consequences[finding->consequence].stage == NM_STAGE_NEXT_ENTRY &&
			      !(as_emulated && peculiar_lacks(state, finding->rule));

		steps[i] = counts ? step_of(finding->rule, &ctx) : STEPS;
		if (steps[i] < first)
			first = steps[i];
	}
	ret_next->is_open = is_open(report, &ctx, first);
	if (first == STEPS)
		return;
	name_step(first, ret_next);
	for (size_t i = 0; i < report->finding_count; i++)
		if (steps[i] == first && ret_next->rule_count < MAX_NEXT_RULES)
			ret_next->rules[ret_next->rule_count++] = report->findings[i].rule;
}
