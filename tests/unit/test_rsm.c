// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes of a vCPU in SMM: which of several failures of RSM is met first, and what it is then. */
#include <check.h>
#include <stdlib.h>

#include "host.h"
#include "rules_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HIGH         UINT64_C(0x100000000)
#define FROM_L1      IMAGE(svm_guest_flag, 0)
#define SHUTDOWN     PAGE(intercept_word3, UINT64_C(0x90000000)) /* and MSR_PROT */
#define NO_SHUTDOWN  PAGE(intercept_word3, UINT64_C(0x10000000))
#define BAD_DR6      IMAGE(dr6, HIGH)
#define BAD_MSRPM    PAGE(msrpm_base_pa, NO_RAM)
#define BAD_CS       IMAGE(cs_attributes, 0x609b)
#define BAD_L1       HSAVE(save_cs_attrib, 0x69b)
#define TO(row)      NM_CONSEQUENCE_##row

static const struct {
	struct poke pokes[MAX_POKES];
	enum nm_consequence outcome;
} rows[] = {
	{{{0}}, TO(ACCEPTED)},
	{{FROM_L1}, TO(ACCEPTED)},
	/* A load that fails: by whether L2 is there, by what L1 intercepts, by kernel. */
	{{FROM_L1, BAD_DR6}, TO(RSM_SHUTDOWN)},
	{{FROM_L1, BAD_DR6, SHUTDOWN}, TO(RSM_SHUTDOWN)},
	{{BAD_DR6, NO_SHUTDOWN}, TO(RSM_TRIPLE_FAULT_SHUTDOWN)},
	{{BAD_DR6, SHUTDOWN}, TO(RSM_TRIPLE_FAULT_TO_L1)},
	{{BAD_DR6, SHUTDOWN, KERNEL(6, 11)}, TO(RSM_TRIPLE_FAULT_TO_L1)},
	{{BAD_DR6, SHUTDOWN, KERNEL(6, 12)}, TO(RSM_SHUTDOWN)},
	/* What comes before it, and after it. */
	{{BAD_DR6, SHUTDOWN, BAD_MSRPM}, TO(RSM_MSRPM)},
	{{BAD_DR6, SHUTDOWN, BAD_MSRPM, KERNEL(6, 12)}, TO(RSM_SHUTDOWN)},
	{{BAD_DR6, SHUTDOWN, IMAGE(svm_guest_vmcb, NO_RAM)}, TO(RSM_SHUTDOWN)},
	{{BAD_DR6, SHUTDOWN, VIEW(hsave_pa, NO_RAM)}, TO(RSM_SHUTDOWN)},
	{{SHUTDOWN, BAD_MSRPM, PAGE(save_cr3, BEYOND_40_BITS)}, TO(RSM_TRIPLE_FAULT_TO_L1)},
	{{BAD_DR6, VIEW(smbase, NO_RAM)}, TO(RSM_UNREADABLE)},
	{{BAD_DR6, VIEW(smbase, NO_RAM), KERNEL(6, 2)}, TO(RSM_SHUTDOWN)},
	{{BAD_DR6, BAD_CS, FROM_L1}, TO(RSM_SHUTDOWN)},
	{{IMAGE(rflags, 0x20002), BAD_CS, FROM_L1}, TO(RSM_INTERNAL_ERROR)},
	/* What the processor refuses, and roots of page tables. */
	{{BAD_CS, FROM_L1}, TO(RSM_FAIL_ENTRY)},
	{{BAD_CS}, TO(RSM_SVM_EXIT_ERR)},
	{{PAGE(event_inj, 0x80000120)}, TO(RSM_SVM_EXIT_ERR)},
	{{PAGE(event_inj, 0x80000120), KERNEL(7, 1)}, TO(RSM_SHUTDOWN)},
	{{BAD_CS, PAGE(nested_cr3, NO_RAM), NO_SHUTDOWN}, TO(RSM_ROOT_SHUTDOWN)},
	{{BAD_CS, PAGE(nested_cr3, NO_RAM), SHUTDOWN}, TO(RSM_ROOT_TO_L1)},
	{{BAD_CS, FROM_L1, IMAGE(cr3, NO_RAM), HOST(npt, 0)}, TO(RSM_ROOT_SHUTDOWN)},
	/* 6.1 runs L2 with controls that VMRUN would refuse. */
	{{PAGE(asid, 0)}, TO(ACCEPTED)},
	{{PAGE(asid, 0), KERNEL(6, 12)}, TO(RSM_SHUTDOWN)},
	/* The high halves of CR0 and CR4 count from 6.2 on; before it is those of the VMCB12. */
	{{IMAGE(cr4, HIGH | 0x620)}, TO(ACCEPTED)},
	{{IMAGE(cr4, HIGH | 0x620), KERNEL(6, 2)}, TO(RSM_TRIPLE_FAULT_TO_L1)},
	{{PAGE(save_cr4, HIGH | 0x620)}, TO(RSM_TRIPLE_FAULT_TO_L1)},
	{{PAGE(save_cr4, HIGH | 0x620), KERNEL(6, 2)}, TO(ACCEPTED)},
	/* With npt=0 it spoils L1's CR4, too: nothing is claimed. */
	{{PAGE(save_cr4, HIGH | 0x620), HOST(npt, 0)}, TO(ACCEPTED)},
	/* A CR3 that is there already is not looked at, but that of the VMCB12 is. */
	{{FROM_L1, IMAGE(cr3, BEYOND_40_BITS)}, TO(RSM_SHUTDOWN)},
	{{IMAGE(cr3, BEYOND_40_BITS), PAGE(save_cr3, BEYOND_40_BITS), SHUTDOWN},
	 TO(RSM_TRIPLE_FAULT_TO_L1)},
	/* L1, parked, ends at L2's next exit; but not before what is wrong with L2. */
	{{BAD_L1}, TO(NEXT_EXIT_FAIL_ENTRY)},
	{{HSAVE(save_cr3, BEYOND_40_BITS)}, TO(NEXT_EXIT_SHUTDOWN)},
	{{HSAVE(save_cr3, NO_RAM), BAD_L1}, TO(NEXT_EXIT_FAIL_ENTRY)},
	{{HSAVE(save_cr3, NO_RAM), BAD_L1, HOST(npt, 0)}, TO(NEXT_EXIT_SHUTDOWN)},
	{{HSAVE(save_cr3, NO_RAM)}, TO(NEXT_EXIT_SHUTDOWN)},
	{{HSAVE(save_cr3, BEYOND_40_BITS), BAD_L1}, TO(NEXT_EXIT_SHUTDOWN)},
	{{BAD_L1, BAD_MSRPM}, TO(RSM_MSRPM)},
	{{BAD_L1, FROM_L1}, TO(ACCEPTED)},
	/* The map goes by the guest's CPUID: nothing of this image is where it should be. */
	{{CPUID(80000001_EDX, 1 << 20 | 1 << 25), BAD_DR6}, TO(RSM_LOSES_L2)},
};

START_TEST(outcome)
{
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm_enter_smm(&vm);
	vm_poke(&vm, rows[_i].pokes);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(nm_predict(judged.broken, &judged.ctx, &vm.order), rows[_i].outcome);
	vm_free(&vm);
}
END_TEST

/* Where what decides the outcome is not known, or L1 cannot be told, the rule is unknown. */
START_TEST(no_outcome_is_claimed)
{
	static const struct poke cases[][MAX_POKES] = {
		{BAD_DR6, SHUTDOWN, LACK(SMM_VMCB12)},
		{BAD_DR6, SHUTDOWN, LACK(HSAVE)},
		{BAD_DR6, SHUTDOWN, LACK(HOST_KERNEL)},
		{BAD_DR6, SHUTDOWN, BAD_L1},
		{BAD_DR6, SHUTDOWN, LACK(HSAVE_PA)},
		{BAD_DR6, LACK(CPUID)},
		{BAD_DR6, SHUTDOWN, HSAVE(save_cr3, NO_RAM)},
		/* The handler or L1 gets an event first. */
		{BAD_DR6, VIEW(events.exc_injected, 1)},
		{BAD_DR6, FROM_L1, VIEW(events.intr_injected, 1)},
		{BAD_DR6, VIEW(events.nmi_pending, 1), VIEW(events.nmi_masked, 0)},
		{BAD_DR6, SHUTDOWN, VIEW(events.smi_pending, 1)},
		{BAD_DR6, SHUTDOWN, VIEW(events.nmi_pending, 1)},
	};
	struct judged judged;
	struct vm vm;

	ck_assert_int_lt(_i, COUNT(cases));
	vm_new(&vm);
	vm_enter_smm(&vm);
	vm_poke(&vm, cases[_i]);
	vm_judge(&vm, &judged);
	ck_assert(!nm_rule_bit(judged.broken, NESTMIG_RULE_smm_dr6_high));
	ck_assert(nm_rule_bit(judged.unknown, NESTMIG_RULE_smm_dr6_high));
	vm_free(&vm);
}
END_TEST

/* An error that the kernel lets pass is a warning on it. */
START_TEST(accepted_is_a_warning)
{
	static const struct poke pokes[] = {PAGE(asid, 0), {0}};
	static const uint32_t kernels[] = {NESTMIG_KERNEL(6, 1), NESTMIG_KERNEL(6, 12)};
	static const char *const words[] = {"warning smm-svm-vmcb12-controls",
					    "error smm-svm-vmcb12-controls"};

	for (size_t i = 0; i < COUNT(kernels); i++) {
		struct nestmig_host host = {0};
		struct nestmig_report *report;
		char *text;
		struct vm vm;

		vm_new(&vm);
		vm_enter_smm(&vm);
		vm_poke(&vm, pokes);
		host.view = vm.host;
		host.view.kernel = kernels[i];
		ck_assert_int_eq(nestmig_judge(&vm.state, &host, &report), NESTMIG_OK);
		ck_assert_int_eq(nestmig_report_text(report, "x", false, &text), NESTMIG_OK);
		ck_assert_ptr_nonnull(strstr(text, words[i]));
		ck_assert_int_eq(nestmig_report_verdict(report),
				 i ? NESTMIG_VERDICT_FAIL : NESTMIG_VERDICT_OK);
		free(text);
		nestmig_report_free(report);
		vm_free(&vm);
	}
}
END_TEST

/* Without its flag the SMM bit is not restored, and RSM is none of the vCPU's business. */
START_TEST(smm_needs_its_flag)
{
	static const struct poke pokes[] = {BAD_DR6, VIEW(events.flags, 0x5), {0}};
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm_enter_smm(&vm);
	vm_poke(&vm, pokes);
	vm_judge(&vm, &judged);
	ck_assert(!nm_rule_bit(judged.broken, NESTMIG_RULE_smm_dr6_high));
	ck_assert(!nm_rule_bit(judged.unknown, NESTMIG_RULE_smm_dr6_high));
	vm_free(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rsm");
	TCase *tcase = tcase_create("rsm");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, outcome, 0, COUNT(rows));
	tcase_add_loop_test(tcase, no_outcome_is_claimed, 0, 12);
	tcase_add_test(tcase, accepted_is_a_warning);
	tcase_add_test(tcase, smm_needs_its_flag);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
