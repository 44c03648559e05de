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

/* ---- For whom each file of rows is: bits of enum nm_when ------------------------------------------ */

#define RULE(ident, id, title, group, severity, when, ...) | 1u << NM_##when
enum {
	WHENS_smram_cr = 0u
#include "../lib/smram/rules_cr.def"
	,
	WHENS_smram_layout = 0u
#include "../lib/smram/rules_layout.def"
	,
	WHENS_smram_mode = 0u
#include "../lib/smram/rules_mode.def"
	,
	WHENS_smram_svm = 0u
#include "../lib/smram/rules_svm.def"
	,
	WHENS_smram_vmx = 0u
#include "../lib/smram/rules_vmx.def"
	,
	WHENS_vcpu_events = 0u
#include "../lib/vcpu/rules_events.def"
	,
	WHENS_vcpu_state = 0u
#include "../lib/vcpu/rules_state.def"
	,
	WHENS_vcpu_sregs = 0u
#include "../lib/vcpu/rules_sregs.def"
	,
	WHENS_vmcb_control = 0u
#include "../lib/vmcb/rules_control.def"
	,
	WHENS_vmcb_header = 0u
#include "../lib/vmcb/rules_header.def"
	,
	WHENS_vmcb_host = 0u
#include "../lib/vmcb/rules_host.def"
	,
	WHENS_vmcb_l2 = 0u
#include "../lib/vmcb/rules_l2.def"
	,
	WHENS_vmcb_run = 0u
#include "../lib/vmcb/rules_run.def"
	,
	WHENS_vmcs_a = 0u
#include "../lib/vmcs/rules_a.def"
	,
	WHENS_vmcs_entry = 0u
#include "../lib/vmcs/rules_entry.def"
	,
	WHENS_vmcs_exit = 0u
#include "../lib/vmcs/rules_exit.def"
	,
	WHENS_vmcs_guest_a_cr = 0u
#include "../lib/vmcs/rules_guest_a_cr.def"
	,
	WHENS_vmcs_guest_cs_ds = 0u
#include "../lib/vmcs/rules_guest_cs_ds.def"
	,
	WHENS_vmcs_guest_e_f = 0u
#include "../lib/vmcs/rules_guest_e_f.def"
	,
	WHENS_vmcs_guest_g_l = 0u
#include "../lib/vmcs/rules_guest_g_l.def"
	,
	WHENS_vmcs_guest_p_s = 0u
#include "../lib/vmcs/rules_guest_p_s.def"
	,
	WHENS_vmcs_guest_ss_tr = 0u
#include "../lib/vmcs/rules_guest_ss_tr.def"
	,
	WHENS_vmcs_header = 0u
#include "../lib/vmcs/rules_header.def"
	,
	WHENS_vmcs_host = 0u
#include "../lib/vmcs/rules_host.def"
	,
	WHENS_vmcs_inject = 0u
#include "../lib/vmcs/rules_inject.def"
	,
	WHENS_vmcs_order = 0u
#include "../lib/vmcs/rules_order.def"
	,
	WHENS_vmcs_pend_emulation = 0u
#include "../lib/vmcs/rules_pend_emulation.def"
	,
	WHENS_vmcs_proc = 0u
#include "../lib/vmcs/rules_proc.def"
	,
	WHENS_vmcs_tail = 0u
#include "../lib/vmcs/rules_tail.def"
	,
};
#undef RULE

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

/* A file of which no row applies is not called. Read anew each time: what the verifier knows of the bits after one
 * branch must not multiply the paths of the next. */
#define JUDGE(file)                                                                                \
	do {                                                                                       \
		if (*(volatile uint32_t *)&j->whens & WHENS_##file)                                \
			nm_judge_##file(j);                                                        \
	} while (0)

int nm_judge(struct nm_judging *j)
{
	uint32_t whens = 0;

	if (!j)
		return -1;
	for (unsigned i = 0; i < NM_RULE_WORDS; i++)
		j->broken[i] = j->unknown[i] = 0;
	j->have = j->ctx.v->have | j->ctx.h->have;
	for (unsigned when = 0; when < NM_WHENS; when++) {
		j->applies[when] = nm_applies_when(when, &j->ctx);
		whens |= (uint32_t)(j->applies[when] != NM_APPLIES_NO) << when;
	}
	j->whens = whens;
	JUDGE(smram_cr);
	JUDGE(smram_layout);
	JUDGE(smram_mode);
	JUDGE(smram_svm);
	JUDGE(smram_vmx);
	JUDGE(vcpu_events);
	JUDGE(vcpu_state);
	JUDGE(vcpu_sregs);
	JUDGE(vmcb_control);
	JUDGE(vmcb_header);
	JUDGE(vmcb_host);
	JUDGE(vmcb_l2);
	JUDGE(vmcb_run);
	JUDGE(vmcs_a);
	JUDGE(vmcs_entry);
	JUDGE(vmcs_exit);
	JUDGE(vmcs_guest_a_cr);
	JUDGE(vmcs_guest_cs_ds);
	JUDGE(vmcs_guest_e_f);
	JUDGE(vmcs_guest_g_l);
	JUDGE(vmcs_guest_p_s);
	JUDGE(vmcs_guest_ss_tr);
	JUDGE(vmcs_header);
	JUDGE(vmcs_host);
	JUDGE(vmcs_inject);
	JUDGE(vmcs_order);
	JUDGE(vmcs_pend_emulation);
	JUDGE(vmcs_proc);
	JUDGE(vmcs_tail);
	return 0;
}
