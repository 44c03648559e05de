// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All rules in BPF. Each file of rows is a global function, which the verifier looks at by itself: what one
 * rule found out does not multiply the paths of the next.
 */
#include "judge.bpf.h"
#include "../lib/evaluate.h"

/* All of a predicate goes into the function of its rows: calls would be followed once for each. */
#define inline inline __attribute__((always_inline))
#include "../lib/smram/predicates.h"
#include "../lib/vcpu/predicates.h"
#include "../lib/vmcb/predicates.h"
#include "../lib/vmcs/predicates.h"

NM_ALWAYS_INLINE void judge_row(struct nm_judging *j, enum nestmig_rule rule, enum nm_when when,
				struct nm_row row)
{
	uint64_t bit = UINT64_C(1) << (rule % 64);
	enum nestmig_holds holds;

	NM_FORGET();
	if (!(j->wanted[rule / 64] & bit) || j->applies[when] == NM_APPLIES_NO)
		return;
	holds = nm_evaluate_row(&row, &j->ctx, j->have, j->applies[when]);
	if (holds == NESTMIG_BROKEN)
		j->broken[rule / 64] |= bit;
	else if (holds == NESTMIG_UNKNOWN)
		j->unknown[rule / 64] |= bit;
}

#define RULE(ident, id, title, group, severity, when, inputs, may_read, fields, before, changed,   \
	     after, reference, cause, remedy)                                                      \
	judge_row(j, NESTMIG_RULE_##ident, NM_##when,                                              \
		  (struct nm_row){inputs, NM_CONSEQUENCE_##before, changed,                        \
				  NM_CONSEQUENCE_##after, rule_##ident});

/* ---- The files of rows ------------------------------------------------------------------------- */

#define GLOBAL __attribute__((noinline))

GLOBAL int nm_judge_smram_cr(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/smram/rules_cr.def"
	return 0;
}

GLOBAL int nm_judge_smram_layout(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/smram/rules_layout.def"
	return 0;
}

GLOBAL int nm_judge_smram_mode(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/smram/rules_mode.def"
	return 0;
}

GLOBAL int nm_judge_smram_svm(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/smram/rules_svm.def"
	return 0;
}

GLOBAL int nm_judge_smram_vmx(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/smram/rules_vmx.def"
	return 0;
}

GLOBAL int nm_judge_vcpu_events(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vcpu/rules_events.def"
	return 0;
}

GLOBAL int nm_judge_vcpu_state(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vcpu/rules_state.def"
	return 0;
}

GLOBAL int nm_judge_vcpu_sregs(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vcpu/rules_sregs.def"
	return 0;
}

GLOBAL int nm_judge_vmcb_control(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcb/rules_control.def"
	return 0;
}

GLOBAL int nm_judge_vmcb_header(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcb/rules_header.def"
	return 0;
}

GLOBAL int nm_judge_vmcb_host(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcb/rules_host.def"
	return 0;
}

GLOBAL int nm_judge_vmcb_l2(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcb/rules_l2.def"
	return 0;
}

GLOBAL int nm_judge_vmcb_run(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcb/rules_run.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_a(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_a.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_entry(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_entry.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_exit(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_exit.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_a_cr(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_a_cr.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_cs_ds(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_cs_ds.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_e_f(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_e_f.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_g_l(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_g_l.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_p_s(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_p_s.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_guest_ss_tr(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_guest_ss_tr.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_header(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_header.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_host(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_host.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_inject(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_inject.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_order(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_order.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_pend_emulation(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_pend_emulation.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_proc(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_proc.def"
	return 0;
}

GLOBAL int nm_judge_vmcs_tail(struct nm_judging *j)
{
	if (!j)
		return -1;
#include "../lib/vmcs/rules_tail.def"
	return 0;
}

int nm_judge(struct nm_judging *j)
{
	if (!j)
		return -1;
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		j->broken[i] = j->unknown[i] = 0;
	j->have = j->ctx.v->have | j->ctx.h->have;
	for (unsigned when = 0; when < NM_WHENS; when++)
		j->applies[when] = nm_applies_when(when, &j->ctx);
	nm_judge_smram_cr(j);
	nm_judge_smram_layout(j);
	nm_judge_smram_mode(j);
	nm_judge_smram_svm(j);
	nm_judge_smram_vmx(j);
	nm_judge_vcpu_events(j);
	nm_judge_vcpu_state(j);
	nm_judge_vcpu_sregs(j);
	nm_judge_vmcb_control(j);
	nm_judge_vmcb_header(j);
	nm_judge_vmcb_host(j);
	nm_judge_vmcb_l2(j);
	nm_judge_vmcb_run(j);
	nm_judge_vmcs_a(j);
	nm_judge_vmcs_entry(j);
	nm_judge_vmcs_exit(j);
	nm_judge_vmcs_guest_a_cr(j);
	nm_judge_vmcs_guest_cs_ds(j);
	nm_judge_vmcs_guest_e_f(j);
	nm_judge_vmcs_guest_g_l(j);
	nm_judge_vmcs_guest_p_s(j);
	nm_judge_vmcs_guest_ss_tr(j);
	nm_judge_vmcs_header(j);
	nm_judge_vmcs_host(j);
	nm_judge_vmcs_inject(j);
	nm_judge_vmcs_order(j);
	nm_judge_vmcs_pend_emulation(j);
	nm_judge_vmcs_proc(j);
	nm_judge_vmcs_tail(j);
	return 0;
}
