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

#define FILE_OF_ROWS(name)                                                                         \
	int name(struct nm_judging *j);                                                            \
	__attribute__((noinline)) int name(struct nm_judging *j)

#define BEGIN                                                                                      \
	if (!j)                                                                                    \
		return -1;
#define END return 0;

FILE_OF_ROWS(nm_judge_smram_cr)
{
	BEGIN
#include "../lib/smram/rules_cr.def"
	END
}

FILE_OF_ROWS(nm_judge_smram_layout)
{
	BEGIN
#include "../lib/smram/rules_layout.def"
	END
}

FILE_OF_ROWS(nm_judge_smram_mode)
{
	BEGIN
#include "../lib/smram/rules_mode.def"
	END
}

FILE_OF_ROWS(nm_judge_smram_svm)
{
	BEGIN
#include "../lib/smram/rules_svm.def"
	END
}

FILE_OF_ROWS(nm_judge_smram_vmx)
{
	BEGIN
#include "../lib/smram/rules_vmx.def"
	END
}

FILE_OF_ROWS(nm_judge_vcpu_events)
{
	BEGIN
#include "../lib/vcpu/rules_events.def"
	END
}

FILE_OF_ROWS(nm_judge_vcpu_state)
{
	BEGIN
#include "../lib/vcpu/rules_state.def"
	END
}

FILE_OF_ROWS(nm_judge_vcpu_sregs)
{
	BEGIN
#include "../lib/vcpu/rules_sregs.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcb_control)
{
	BEGIN
#include "../lib/vmcb/rules_control.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcb_header)
{
	BEGIN
#include "../lib/vmcb/rules_header.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcb_host)
{
	BEGIN
#include "../lib/vmcb/rules_host.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcb_l2)
{
	BEGIN
#include "../lib/vmcb/rules_l2.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcb_run)
{
	BEGIN
#include "../lib/vmcb/rules_run.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_a)
{
	BEGIN
#include "../lib/vmcs/rules_a.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_entry)
{
	BEGIN
#include "../lib/vmcs/rules_entry.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_exit)
{
	BEGIN
#include "../lib/vmcs/rules_exit.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_a_cr)
{
	BEGIN
#include "../lib/vmcs/rules_guest_a_cr.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_cs_ds)
{
	BEGIN
#include "../lib/vmcs/rules_guest_cs_ds.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_e_f)
{
	BEGIN
#include "../lib/vmcs/rules_guest_e_f.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_g_l)
{
	BEGIN
#include "../lib/vmcs/rules_guest_g_l.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_p_s)
{
	BEGIN
#include "../lib/vmcs/rules_guest_p_s.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_guest_ss_tr)
{
	BEGIN
#include "../lib/vmcs/rules_guest_ss_tr.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_header)
{
	BEGIN
#include "../lib/vmcs/rules_header.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_host)
{
	BEGIN
#include "../lib/vmcs/rules_host.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_inject)
{
	BEGIN
#include "../lib/vmcs/rules_inject.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_order)
{
	BEGIN
#include "../lib/vmcs/rules_order.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_pend_emulation)
{
	BEGIN
#include "../lib/vmcs/rules_pend_emulation.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_proc)
{
	BEGIN
#include "../lib/vmcs/rules_proc.def"
	END
}

FILE_OF_ROWS(nm_judge_vmcs_tail)
{
	BEGIN
#include "../lib/vmcs/rules_tail.def"
	END
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
