// SPDX-License-Identifier: GPL-2.0-or-later
/* VMX: what capability MSRs allow, what is known where they are not, what a finding says. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules_vmx_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct vm vm;
static struct judged judged;

static void setup(void)
{
	vmx_vm_new(&vm);
}

static void teardown(void)
{
	vm_free(&vm);
}

static void judge_with(const struct poke *pokes)
{
	vm_poke(&vm, pokes);
	vm_judge(&vm, &judged);
}

static enum nestmig_holds holds(enum nestmig_rule rule)
{
	if (nm_rule_bit(judged.broken, rule))
		return NESTMIG_BROKEN;
	return nm_rule_bit(judged.unknown, rule) ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

static void lacks(unsigned item)
{
	lack(&vm, item);
}

/* The detail of the finding on a rule; the test frees nothing of it. */
static const char *detail_of(enum nestmig_rule rule)
{
	static char text[4096];
	struct nm_buf buf = {0};
	char *made = NULL;

	ck_assert_int_eq(holds(rule), NESTMIG_BROKEN);
	nm_vmx_detail(rule, &judged.ctx, &buf);
	ck_assert_int_eq(nm_buf_take(&buf, &made), NESTMIG_OK);
	snprintf(text, sizeof(text), "%s", made);
	free(made);
	return text;
}

/* ---- Whose capability MSRs ------------------------------------------------------------------- */

/* A guest without a feature that the host has: its own MSRs decide. */
START_TEST(the_guests_own_msrs_decide)
{
	const struct poke pokes[] = {GUEST_CAP(PROC2, UINT64_C(0x02137bdf) << 32), {0}};

	judge_with(pokes);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_proc2_allowed1), NESTMIG_BROKEN);
}
END_TEST

/* A list without them: the vCPU keeps what KVM gives it, less what its CPUID lacks. */
START_TEST(without_own_msrs_kvms_defaults_decide)
{
	const struct poke none[] = {VIEW(vmx.have, 0), {0}};
	const struct poke no_rdtscp[] = {CPUID(80000001_EDX, 1U << 20 | 1U << 29), {0}};

	judge_with(none);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_proc2_allowed1), NESTMIG_HOLDS);
	judge_with(no_rdtscp);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_proc2_allowed1), NESTMIG_BROKEN);
	lacks(NESTMIG_ITEM_CPUID);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_proc2_allowed1), NESTMIG_UNKNOWN);
}
END_TEST

/* No list of MSRs, as in a QEMU stream: the host is a bound, no more. */
START_TEST(the_host_bounds_what_is_not_known)
{
	const struct poke beyond[] = {PIN(HEALTHY_PIN | PIN_POSTED),
				      HOST_CAP(TRUE_PIN, UINT64_C(0x0000007f00000016)),
				      {0}};

	lacks(NESTMIG_ITEM_MSRS);
	lacks(NESTMIG_ITEM_VMX_MSRS);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_pin_allowed1), NESTMIG_UNKNOWN);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_caps_true_pin), NESTMIG_UNKNOWN);
	judge_with(beyond);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_pin_allowed1), NESTMIG_BROKEN);
	lacks(NESTMIG_ITEM_HOST_MSRS);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_pin_allowed1), NESTMIG_UNKNOWN);
}
END_TEST

/* MSRs that come after the nested state are refused: KVM's own decide. */
START_TEST(msrs_that_come_late_do_not_count)
{
	const struct poke pokes[] = {
		GUEST_CAP(PROC2, UINT64_C(0x02137bdf) << 32), {PLACE_ORDER, 0, 0, 0}, {0}};

	judge_with(pokes);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_proc2_allowed1), NESTMIG_HOLDS);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_caps_before_vmxon), NESTMIG_BROKEN);
}
END_TEST

/* ---- What follows ---------------------------------------------------------------------------- */

START_TEST(consequences_go_by_mode_and_kernel)
{
	static const struct {
		struct poke pokes[MAX_POKES];
		enum nm_consequence outcome;
	} cases[] = {
		{{PIN(0)}, NM_CONSEQUENCE_VMX_CONTROLS},
		{{VMCS(host_cs_selector, 0)}, NM_CONSEQUENCE_VMX_HOST_STATE},
		{{VMCS(host_cs_selector, 0), VMX_IN_L1}, NM_CONSEQUENCE_ACCEPTED},
		{{VMCS(tpr_threshold, 0x10)}, NM_CONSEQUENCE_LATE_VMFAIL_7},
		{{VMCS(tpr_threshold, 0x10), KERNEL(7, 0)}, NM_CONSEQUENCE_VMX_CONTROLS},
		{{VMCS(ept_pointer, NO_RAM | 0x1e)}, NM_CONSEQUENCE_VMX_ROOT_TRIPLE_FAULT},
		{{VMCS(ept_pointer, NO_RAM | 0x1e), KERNEL(6, 6)}, NM_CONSEQUENCE_VMX_ROOT_DUMMY},
		{{HOST_CAP(TRUE_PIN, 0x16)}, NM_CONSEQUENCE_SET_MSRS_SHORT},
		{{VMCS(vm_entry_msr_load_count, 513)}, NM_CONSEQUENCE_ACCEPTED},
		{{VMCS(vm_entry_msr_load_count, 513), KERNEL(7, 0)}, NM_CONSEQUENCE_VMX_CONTROLS},
		{{VMCS(vm_exit_msr_load_count, 513)}, NM_CONSEQUENCE_VMX_ABORT},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		enum nm_consequence outcome;

		teardown();
		setup();
		judge_with(cases[i].pokes);
		outcome = nm_predict(judged.broken, &judged.ctx, &vm.order);
		ck_assert_msg(outcome == cases[i].outcome, "case %zu: %s", i,
			      nm_consequences[outcome].name);
	}
}
END_TEST

/* ---- A list of 512 EPT pointers -------------------------------------------------------------- */

#define EPTP(n, value) RAM(GPA_EPTP_LIST + (n)*8, value)

/* Every entry is judged: those that would be a VM exit 59, those without memory, those that are fine. */
START_TEST(every_entry_of_an_eptp_list_is_judged)
{
	const struct poke pokes[] = {EPTP(3, (uint64_t)GPA_FREE_PAGE | 0x5e),
				     EPTP(17, NO_RAM | 0x1e),
				     EPTP(511, (uint64_t)GPA_FREE_PAGE | 0x1d),
				     {0}};

	for (uint64_t i = 20; i < 500; i++)
		put(vm.ram + GPA_EPTP_LIST + 8 * i, 8, (i << 12) | 0x1e);
	judge_with(pokes);
	ck_assert_uint_eq(vm.vcpu.view.eptps.count, 484);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_vmfunc_entry_ad), NESTMIG_HOLDS);
	ck_assert_int_eq(holds(NESTMIG_RULE_vmx_vmfunc_entry_walk), NESTMIG_HOLDS);
	ck_assert_str_eq(detail_of(NESTMIG_RULE_vmx_vmfunc_entry_memtype),
			 "Entry 511 is 0x12001d.");
	ck_assert_str_eq(detail_of(NESTMIG_RULE_vmx_vmfunc_entry_root_backed),
			 "Entry 17 is 0x800001e.");
	ck_assert_int_eq(nm_predict(judged.broken, &judged.ctx, &vm.order),
			 NM_CONSEQUENCE_ACCEPTED);
}
END_TEST

START_TEST(long_lists_are_whole)
{
	const char *text;

	for (uint64_t i = 0; i < 512; i++)
		put(vm.ram + GPA_EPTP_LIST + 8 * i, 8, (i + 1) << 12);
	vm_judge(&vm, &judged);
	text = detail_of(NESTMIG_RULE_vmx_vmfunc_entry_walk);
	ck_assert_ptr_nonnull(strstr(text, ", entry 7 is 0x8000; also entries 8, 9, 10, "));
	ck_assert_ptr_nonnull(strstr(text, ", 510, 511."));
}
END_TEST

/* ---- What a stream is searched for ----------------------------------------------------------- */

START_TEST(streams_are_searched_for_lists_only)
{
	const struct poke plain[] = {VMCS(vm_function_control, 0), {0}};
	const struct poke lists[] = {VMCS(vm_function_control, 1),
				     VMCS(tpr_threshold, 1),
				     VMCS(vm_exit_msr_load_addr, GPA_MSR_LISTS),
				     VMCS(vm_exit_msr_load_count, 0xffffffff),
				     {0}};
	struct nm_range ranges[NM_VMX_RANGES];

	vm_poke(&vm, plain);
	ck_assert_uint_eq(nm_vmx_wants(&vm.vcpu.view, ranges), 0);
	vm_poke(&vm, lists);
	ck_assert_uint_eq(nm_vmx_wants(&vm.vcpu.view, ranges), 3);
	ck_assert_uint_eq(ranges[0].gpa, GPA_EPTP_LIST);
	ck_assert_uint_eq(ranges[1].gpa, GPA_VAPIC + VAPIC_TPR);
	ck_assert_uint_eq(ranges[2].gpa, GPA_MSR_LISTS);
	ck_assert_uint_eq(ranges[2].length, 8192);
	vm.vcpu.view.have &= ~NESTMIG_HAVE(VMCS12);
	ck_assert_uint_eq(nm_vmx_wants(&vm.vcpu.view, ranges), 0);
}
END_TEST

/* ---- Words ----------------------------------------------------------------------------------- */

START_TEST(capability_differences_have_names)
{
	const struct poke pokes[] = {
		PROC2(HEALTHY_PROC2 | PROC2_VID), HOST_CAP(PROC2, UINT64_C(0x021378ff) << 32), {0}};
	const struct poke unused[] = {PROC2(HEALTHY_PROC2), {0}};
	const struct poke own[] = {GUEST_CAP(TRUE_PIN, UINT64_C(0x0000001f00000016)), {0}};

	judge_with(pokes);
	ck_assert_str_eq(detail_of(NESTMIG_RULE_vmx_caps_proc2),
			 "The guest was offered APIC-register virtualization and virtual-interrupt "
			 "delivery, which this host lacks. L1 uses virtual-interrupt delivery.");
	judge_with(unused);
	ck_assert_ptr_nonnull(strstr(detail_of(NESTMIG_RULE_vmx_caps_proc2),
				     "L1's current VMCS uses nothing of it."));
	judge_with(own);
	ck_assert_str_eq(detail_of(NESTMIG_RULE_vmx_pin_allowed1),
			 "L1 uses virtual NMIs, which the vCPU does not offer it.");
}
END_TEST

START_TEST(entries_of_msr_areas_have_numbers)
{
	const struct poke pokes[] = {
		VMCS(vm_exit_msr_load_count, 3), VMCS(vm_exit_msr_load_addr, GPA_MSR_LISTS),
		RAM(GPA_MSR_LISTS, 0x174),       RAM(GPA_MSR_LISTS + 16, 0xc0000100),
		RAM(GPA_MSR_LISTS + 32, 0x79),   {0}};

	judge_with(pokes);
	ck_assert_str_eq(detail_of(NESTMIG_RULE_vmx_msrexitload_entry),
			 "Entry 1 is MSR 0xc0000100, entry 2 is MSR 0x79.");
}
END_TEST

/* ---- Where rules are skipped ----------------------------------------------------------------- */

/* A vCPU of the other vendor costs nothing and says nothing. */
START_TEST(amd_vcpus_are_not_asked)
{
	struct vm amd;

	vm_new(&amd);
	vm_judge(&amd, &judged);
	for (unsigned i = NM_RULES_BEFORE_VMX; i < NESTMIG_RULES; i++) {
		ck_assert_msg(!strncmp(nm_rules[i].id, "vmx-", 4), "%s", nm_rules[i].id);
		ck_assert_int_eq(holds((enum nestmig_rule)i), NESTMIG_HOLDS);
	}
	ck_assert_int_ne(strncmp(nm_rules[NM_RULES_BEFORE_VMX - 1].id, "vmx-", 4), 0);
	vm_free(&amd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmx");
	TCase *tcase = tcase_create("vmx");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_guests_own_msrs_decide);
	tcase_add_test(tcase, without_own_msrs_kvms_defaults_decide);
	tcase_add_test(tcase, the_host_bounds_what_is_not_known);
	tcase_add_test(tcase, msrs_that_come_late_do_not_count);
	tcase_add_test(tcase, consequences_go_by_mode_and_kernel);
	tcase_add_test(tcase, every_entry_of_an_eptp_list_is_judged);
	tcase_add_test(tcase, long_lists_are_whole);
	tcase_add_test(tcase, streams_are_searched_for_lists_only);
	tcase_add_test(tcase, capability_differences_have_names);
	tcase_add_test(tcase, entries_of_msr_areas_have_numbers);
	tcase_add_test(tcase, amd_vcpus_are_not_asked);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
