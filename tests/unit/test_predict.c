// SPDX-License-Identifier: GPL-2.0-or-later
/* What follows: page-table roots, exits to an L1 that is not there, the order of the restore. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rules_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum nm_consequence outcome_of(const struct vm *vm)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return nm_predict(judged.broken, &judged.ctx, &vm->order);
}

static bool is_unknown(const struct vm *vm, enum nestmig_rule rule)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return nm_rule_bit(judged.unknown, rule);
}

#define IN_L1      VIEW(nested.flags, KVMNS_GIF_SET)
#define NO_NP      PAGE(nested_ctl, 0)
#define NO_NPT     HOST(npt, 0)
#define NO_CR3     VIEW(sregs.cr3, NO_RAM)
#define NO_NCR3    PAGE(nested_cr3, NO_RAM)
#define NOT_CAUGHT PAGE(intercept_word3, 0)
#define BAD_ENTRY  VIEW(sregs.cs.db, 1)

/* ---- Roots ----------------------------------------------------------------------------------- */

/* mmu_check_root of 6.1 against the dummy root of 6.6, by who walks the tables. */
static const struct {
	struct poke pokes[7];
	enum nm_consequence old, new; /* 6.5, 6.6 */
} roots[] = {
	{{NO_NCR3}, NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1, NM_CONSEQUENCE_ROOT_NESTED_FAULTS},
	{{NO_NCR3, NOT_CAUGHT},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN,
	 NM_CONSEQUENCE_ROOT_NESTED_FAULTS},
	/* Before the processor sees the VMCB, or after. */
	{{NO_NCR3, BAD_ENTRY},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1,
	 NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR},
	/* With nested paging CR3 is an address of L2. */
	{{NO_CR3}, NM_CONSEQUENCE_ACCEPTED, NM_CONSEQUENCE_ACCEPTED},
	{{NO_CR3, NO_NP}, NM_CONSEQUENCE_ROOT_PAGE_FAULTS, NM_CONSEQUENCE_ROOT_PAGE_FAULTS},
	{{NO_CR3, NO_NP, NO_NPT},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1,
	 NM_CONSEQUENCE_ROOT_PAGE_FAULTS},
	{{NO_CR3, NO_NP, NO_NPT, NOT_CAUGHT},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN,
	 NM_CONSEQUENCE_ROOT_PAGE_FAULTS},
	{{NO_CR3, NO_NP, BAD_ENTRY},
	 NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR,
	 NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR},
	{{NO_CR3, NO_NP, NO_NPT, BAD_ENTRY},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1,
	 NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR},
	{{NO_CR3, IN_L1}, NM_CONSEQUENCE_ROOT_LOST, NM_CONSEQUENCE_ROOT_LOST},
	{{NO_CR3, IN_L1, NO_NPT},
	 NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN,
	 NM_CONSEQUENCE_ROOT_LOST},
	/* Without paging CR3 names nothing. */
	{{NO_CR3, NO_NP, NO_NPT, VIEW(sregs.cr0, 0x33), VIEW(sregs.efer, 0x1000),
	  VIEW(sregs.cs.l, 0)},
	 NM_CONSEQUENCE_ACCEPTED,
	 NM_CONSEQUENCE_ACCEPTED},
};

START_TEST(roots_go_by_kernel_and_tables)
{
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, roots[_i].pokes);
	vm.host.kernel = NESTMIG_KERNEL(6, 5);
	ck_assert_msg(outcome_of(&vm) == roots[_i].old, "%s",
		      nm_consequences[outcome_of(&vm)].name);
	vm.host.kernel = NESTMIG_KERNEL(6, 6);
	ck_assert_msg(outcome_of(&vm) == roots[_i].new, "%s",
		      nm_consequences[outcome_of(&vm)].name);
	vm_free(&vm);
}
END_TEST

/* Whether KVM shadows L2's CR3 is not known without the module parameters. */
START_TEST(root_without_parameters_is_open)
{
	static const struct poke pokes[] = {NO_CR3, NO_NP, LACK(HOST_PARAMS), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_run_memslots));
	vm.host.kernel = NESTMIG_KERNEL(6, 6);
	ck_assert(!is_unknown(&vm, NESTMIG_RULE_svm_run_memslots));
	vm_free(&vm);
}
END_TEST

/* PDPTRs of SREGS2 count instead of those in memory. */
START_TEST(pdptrs_of_sregs2_are_roots)
{
	static const struct poke pae[] = {NO_NP,
					  NO_NPT,
					  VIEW(sregs.efer, 0x1000),
					  VIEW(sregs.cs.l, 0),
					  RAM(GPA_L2_CR3, NO_RAM | 1),
					  {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pae);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1);
	vm.vcpu.view.have |= NESTMIG_HAVE(PDPTRS);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ACCEPTED);
	vm.vcpu.view.sregs.pdptrs[3] = RAM_BACKED | 1;
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1);
	vm.vcpu.view.sregs.pdptrs[3] = RAM_BACKED;
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ACCEPTED);
	vm.vcpu.view.sregs.pdptrs[3] = UINT64_C(0x8000000000000001);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_TO_L1);
	vm.host.npt = 1;
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ACCEPTED);
	vm_free(&vm);
}
END_TEST

/* Outside guest mode: 32-bit vCPUs may also spin, so that nothing is claimed where npt is not known. */
START_TEST(lost_root_goes_by_mode)
{
	static const struct poke long_mode[] = {IN_L1, NO_CR3, {0}};
	static const struct poke legacy[] = {
		VIEW(sregs.efer, 0x1000), VIEW(sregs.cs.l, 0), VIEW(sregs.cr4, 0), {0}};
	static const struct poke lack[] = {LACK(HOST_PARAMS), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, long_mode);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_LOST);
	vm_poke(&vm, legacy);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_PAGE_FAULTS);
	vm.host.kernel = NESTMIG_KERNEL(6, 6);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ROOT_PAGE_FAULTS);
	vm.host.kernel = NESTMIG_KERNEL(6, 1);
	vm_poke(&vm, lack);
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_run_l1_cr3));
	vm_poke(&vm, (const struct poke[]){VIEW(sregs.efer, 0x1500), VIEW(sregs.cr4, 0x620), {0}});
	ck_assert(!is_unknown(&vm, NESTMIG_RULE_svm_run_l1_cr3));
	vm_free(&vm);
}
END_TEST

/* An undecided rule makes an outcome uncertain only if it could come before. */
START_TEST(certain_outcomes)
{
	uint64_t unknown[NM_RULE_WORDS] = {0};
	unsigned rule = NESTMIG_RULE_svm_ctl_asid_zero;
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm_judge(&vm, &judged);
	ck_assert(nm_is_certain(unknown, NM_CONSEQUENCE_ACCEPTED, &judged.ctx, &vm.order));
	unknown[rule / 64] |= UINT64_C(1) << (rule % 64);
	ck_assert(!nm_is_certain(unknown, NM_CONSEQUENCE_ACCEPTED, &judged.ctx, &vm.order));
	ck_assert(!nm_is_certain(unknown, NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR, &judged.ctx,
				 &vm.order));
	ck_assert(nm_is_certain(unknown, NM_CONSEQUENCE_SET_SREGS_EINVAL, &judged.ctx, &vm.order));
	vm_free(&vm);
}
END_TEST

/* ---- Exits to L1 ----------------------------------------------------------------------------- */

#define NO_L1_CR3 PAGE(save_cr3, NO_RAM)
#define NO_VMCB12 VIEW(nested.vmcb_pa, NO_RAM)

/* An exit to L1 is not the end of it if L1 is not there. */
static const struct {
	struct poke pokes[5];
	enum nm_consequence outcome;
} exits[] = {
	{{NO_L1_CR3}, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
	{{NO_VMCB12}, NM_CONSEQUENCE_NEXT_EXIT_GP},
	/* The VMCB12 is mapped first. */
	{{NO_L1_CR3, NO_VMCB12}, NM_CONSEQUENCE_NEXT_EXIT_GP},
	{{NO_L1_CR3, NO_VMCB12, KERNEL(7, 1)}, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
	{{NO_L1_CR3, BAD_ENTRY}, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
	{{NO_VMCB12, BAD_ENTRY}, NM_CONSEQUENCE_EXIT_TO_NOBODY},
	{{NO_VMCB12, NO_NCR3}, NM_CONSEQUENCE_EXIT_TO_NOBODY},
	{{NO_L1_CR3, NO_NCR3}, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
	/* A shutdown of the VM is no exit. */
	{{NO_VMCB12, NO_NCR3, NOT_CAUGHT}, NM_CONSEQUENCE_ROOT_TRIPLE_FAULT_SHUTDOWN},
	/* What is refused does not run. */
	{{NO_L1_CR3, PAGE(asid, 0)}, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
	/* Events that leave guest mode: no exit of L2 comes. */
	{{NO_L1_CR3, VIEW(events.smi_smm, 1)}, NM_CONSEQUENCE_SMM_LEAVES_NESTED},
};

START_TEST(exits_reach_l1_or_nobody)
{
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, exits[_i].pokes);
	ck_assert_msg(outcome_of(&vm) == exits[_i].outcome, "%s",
		      nm_consequences[outcome_of(&vm)].name);
	vm_free(&vm);
}
END_TEST

/* EFER.LMA of L1 is made good on the way back to it, but only if L2 did not page. */
START_TEST(lma_of_l1_goes_by_l2)
{
	static const struct poke pokes[] = {PAGE(save_efer, 0x1100), RAM(GPA_L1_CR3, 7), {0}};
	static const struct poke real[] = {
		VIEW(sregs.cr0, 0x32), VIEW(sregs.efer, 0x1000), VIEW(sregs.cs.l, 0), {0}};
	static const struct poke lack[] = {LACK(SREGS), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN);
	vm_poke(&vm, real);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ACCEPTED);
	vm_poke(&vm, lack);
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_host_pdptrs));
	vm_free(&vm);
}
END_TEST

/* An event that is injected anyway takes the place of L1's event_inj. */
START_TEST(injected_events_replace_event_inj)
{
	static const uint64_t bad[] = {0x80000120, 0x80000302, 0x8000031f, 0x80000304};

	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct poke pokes[] = {PAGE(event_inj, bad[i]), {0}};
		static const struct poke injected[] = {VIEW(events.intr_injected, 1), {0}};
		struct vm vm;

		vm_new(&vm);
		vm_poke(&vm, pokes);
		ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR);
		vm_poke(&vm, injected);
		ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_ACCEPTED);
		/* KVM_SET_NESTED_STATE refuses it first, but for #OF in 64-bit code. */
		vm.host.kernel = NESTMIG_KERNEL(7, 1);
		ck_assert_int_eq(outcome_of(&vm), i < 3 ? NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL
							: NM_CONSEQUENCE_ACCEPTED);
		vm_free(&vm);
	}
}
END_TEST

/* ---- The order ------------------------------------------------------------------------------- */

static const struct {
	const char *order, *names; /* names: what the error is about, NULL if there is none */
} orders[] = {
	{"qemu", NULL},
	{"QEMU", NULL},
	{"selftests", NULL},
	{"KVM_SET_SREGS2", NULL},
	{"kvm_set_nested_state, sregs,XSAVE", NULL},
	{"", "names no ioctl"},
	{",,", "names no ioctl"},
	{"XSAVE,CPUID2", "names no ioctl"},
	{"SREGS,FOO", "\"FOO\""},
	{"KVM_SET_", "\"KVM_SET_\""},
	{"qemu,SREGS", "\"qemu\""},
	{"SREGS;REGS", "\"SREGS;REGS\""},
};

START_TEST(order_is_checked)
{
	struct nestmig_state state = {.restore_order = strdup("REGS")};
	struct nestmig_detail detail = {0};
	enum nestmig_error error =
		nestmig_state_set_restore_order(&state, orders[_i].order, &detail);

	ck_assert_int_eq(error, orders[_i].names ? NESTMIG_ERR_INVALID : NESTMIG_OK);
	if (orders[_i].names)
		ck_assert_msg(strstr(detail.text, orders[_i].names), "%s", detail.text);
	/* A wrong one leaves it as it was. */
	ck_assert_int_eq(!strcmp(state.restore_order, "REGS"), !!orders[_i].names);
	free(state.restore_order);
}
END_TEST

/* SMM and guest mode exclude each other: who comes first decides which of them is refused. */
START_TEST(order_changes_the_outcome)
{
	static const struct poke smm[] = {VIEW(events.smi_smm, 1), {0}};
	static const struct {
		const char *order;
		enum nm_consequence outcome;
	} rows[] = {
		{"qemu", NM_CONSEQUENCE_SMM_LEAVES_NESTED},
		{"selftests", NM_CONSEQUENCE_SET_NESTED_STATE_SMM},
		{"NESTED_STATE", NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
		{"SREGS,NESTED_STATE", NM_CONSEQUENCE_SMM_LEAVES_NESTED},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct vm vm;

		vm_new(&vm);
		vm_poke(&vm, smm);
		ck_assert_int_eq(nestmig_state_set_restore_order(&vm.state, rows[i].order, NULL),
				 NESTMIG_OK);
		nm_order_parse(vm.state.restore_order, &vm.order);
		ck_assert_msg(outcome_of(&vm) == rows[i].outcome, "%s: %s", rows[i].order,
			      nm_consequences[outcome_of(&vm)].name);
		free(vm.state.restore_order);
		vm_free(&vm);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("predict");
	TCase *tcase = tcase_create("predict");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, roots_go_by_kernel_and_tables, 0, COUNT(roots));
	tcase_add_test(tcase, root_without_parameters_is_open);
	tcase_add_test(tcase, pdptrs_of_sregs2_are_roots);
	tcase_add_test(tcase, lost_root_goes_by_mode);
	tcase_add_test(tcase, certain_outcomes);
	tcase_add_loop_test(tcase, exits_reach_l1_or_nobody, 0, COUNT(exits));
	tcase_add_test(tcase, lma_of_l1_goes_by_l2);
	tcase_add_test(tcase, injected_events_replace_event_inj);
	tcase_add_loop_test(tcase, order_is_checked, 0, COUNT(orders));
	tcase_add_test(tcase, order_changes_the_outcome);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
