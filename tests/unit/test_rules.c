// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules: their table, and each of them against the healthy guest. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_evt.h"
#include "catalogue_smm.h"
#include "catalogue_svm.h"
#include "catalogue_vmx.h"
#include "rules_cases.h"

static bool is_not_judged(const char *id)
{
	for (size_t i = 0; i < nm_not_judged_count; i++)
		if (!strcmp(nm_not_judged[i].id, id))
			return true;
	return false;
}

static bool is_ended(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && text[length - 1] == '.';
}

/* ---- The table ------------------------------------------------------------------------------- */

START_TEST(ids_are_sorted_and_unique)
{
	ck_assert_uint_eq(nm_rule_count, NESTMIG_RULES);
	for (size_t i = 1; i < nm_rule_count; i++)
		ck_assert_msg(strcmp(nm_rules[i - 1].id, nm_rules[i].id) < 0, "%s before %s",
			      nm_rules[i - 1].id, nm_rules[i].id);
	for (size_t i = 1; i < nm_not_judged_count; i++)
		ck_assert_msg(strcmp(nm_not_judged[i - 1].id, nm_not_judged[i].id) < 0, "%s",
			      nm_not_judged[i].id);
}
END_TEST

static void check_covered(const char *const *ids, size_t count)
{
	for (size_t i = 0; i < count && ids[i]; i++)
		ck_assert_msg(!!nm_rule_find(ids[i]) != is_not_judged(ids[i]),
			      "%s is in both lists or in none", ids[i]);
}

START_TEST(catalogue_is_covered)
{
	check_covered(catalogue_evt, COUNT(catalogue_evt));
	check_covered(catalogue_smm, COUNT(catalogue_smm));
	check_covered(catalogue_svm, COUNT(catalogue_svm));
	check_covered(catalogue_vmx, COUNT(catalogue_vmx));
}
END_TEST

START_TEST(rows_are_complete)
{
	for (size_t i = 0; i < nm_rule_count; i++) {
		const struct nm_rule *rule = &nm_rules[i];

		ck_assert_ptr_eq(nm_rule_find(rule->id), rule);
		ck_assert_str_eq(nestmig_rule_id(i), rule->id);
		ck_assert_msg(*rule->title && !is_ended(rule->title), "title of %s", rule->id);
		ck_assert_msg(is_ended(rule->cause), "cause of %s", rule->id);
		ck_assert_msg(is_ended(rule->remedy), "remedy of %s", rule->id);
		ck_assert_msg(*rule->reference && !is_ended(rule->reference), "reference of %s",
			      rule->id);
		ck_assert_msg(*rule->fields, "fields of %s", rule->id);
		ck_assert_msg(rule->inputs, "inputs of %s", rule->id);
		ck_assert_msg(!(rule->inputs & rule->may_read), "inputs of %s", rule->id);
		ck_assert_msg(rule->changed || rule->after == NM_CONSEQUENCE_NONE,
			      "%s changes, but when?", rule->id);
		ck_assert_msg(rule->changed || rule->before != NM_CONSEQUENCE_NONE,
			      "%s never applies", rule->id);
	}
	ck_assert_ptr_null(nestmig_rule_id(nm_rule_count));
	ck_assert_ptr_null(nm_rule_find("no-such-rule"));
}
END_TEST

/* ---- One rule -------------------------------------------------------------------------------- */

static const struct rule_case *case_of(unsigned rule)
{
	const struct rule_case *found = rule_case_of(rule);

	ck_assert_msg(found, "no case of %s, or two", nm_rules[rule].id);
	return found;
}

static bool is_related(const struct rule_case *one, unsigned rule)
{
	for (unsigned i = 0; i < MAX_RELATED; i++)
		if (one->related[i] == rule + 1)
			return true;
	return one->rule == rule;
}

/* Is a rule about what the healthy guest of a case does not have: VMX state, or an SMRAM image? (Cases of
 * rules for both vendors make an Intel vCPU of the SVM guest.) */
static bool is_foreign(const struct rule_case *one, unsigned rule)
{
	const unsigned first_vmx = NM_RULES_BEFORE_VMX;

	return (unsigned)one->rule < first_vmx ? rule >= first_vmx
					       : nm_rules[rule].when == NM_WHEN_SMM;
}

/* Is a rule no error for this vCPU, such as one on what L1's next VM entry meets? */
static bool is_mild(const struct judged *judged, unsigned rule, const struct nm_order *order)
{
	enum nm_consequence consequence = nm_rule_consequence(&nm_rules[rule], &judged->ctx, order);

	return nm_rules[rule].severity == NM_SEVERITY_ERROR &&
	       nm_rule_severity(&nm_rules[rule], consequence) != NM_SEVERITY_ERROR;
}

START_TEST(rule_breaks)
{
	const struct rule_case *one = case_of((unsigned)_i);
	struct judged judged;
	struct vm vm;

	vm_for(&vm, &nm_rules[one->rule]);
	vm_poke(&vm, one->breaks);
	vm_judge(&vm, &judged);
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		bool broken = nm_rule_bit(judged.broken, i);

		if (i == one->rule)
			ck_assert_msg(broken, "%s is not broken", nm_rules[i].id);
		else if (!is_foreign(one, i) &&
			 nm_rule_severity(&nm_rules[i],
					  nm_rule_consequence(&nm_rules[i], &judged.ctx,
							      &vm.order)) == NM_SEVERITY_ERROR &&
			 !is_related(one, i))
			ck_assert_msg(!broken, "%s also breaks %s", nm_rules[one->rule].id,
				      nm_rules[i].id);
		ck_assert_msg(!nm_rule_bit(judged.unknown, i) || is_foreign(one, i) ||
				      is_mild(&judged, i, &vm.order),
			      "%s: %s is unknown", nm_rules[one->rule].id, nm_rules[i].id);
	}
	for (unsigned i = 0; i < MAX_RELATED; i++)
		if (one->related[i])
			ck_assert_msg(nm_rule_bit(judged.broken, one->related[i] - 1),
				      "%s does not break %s", nm_rules[one->rule].id,
				      nm_rules[one->related[i] - 1].id);
	vm_free(&vm);
}
END_TEST

START_TEST(rule_holds)
{
	const struct rule_case *one = case_of((unsigned)_i);
	const struct nm_rule *rule = &nm_rules[_i];
	struct judged judged;
	struct vm vm;

	vm_for(&vm, &nm_rules[one->rule]);
	vm_poke(&vm, one->holds);
	vm_judge(&vm, &judged);
	ck_assert_msg(!nm_rule_bit(judged.broken, one->rule), "%s is broken", rule->id);
	ck_assert_msg(!nm_rule_bit(judged.unknown, one->rule), "%s is unknown", rule->id);
	/* And not because it does not apply. */
	ck_assert_int_eq(rule->predicate(&judged.ctx), NESTMIG_HOLDS);
	ck_assert_int_ne(nm_rule_consequence(rule, &judged.ctx, &vm.order), NM_CONSEQUENCE_NONE);
	ck_assert((rule->when != NM_WHEN_L2 && rule->when != NM_WHEN_VMX_L2) ||
		  (vm.vcpu.view.nested.flags & KVMNS_GUEST_MODE));
	vm_free(&vm);
}
END_TEST

/* Without an input that it always reads, a rule is unknown; without one that it may read, whatever
 * breaks it never looks satisfied. */
START_TEST(rule_lacks_inputs)
{
	const struct rule_case *one = case_of((unsigned)_i);
	const struct nm_rule *rule = &nm_rules[_i];

	for (unsigned item = 0; item < NESTMIG_ITEM_COUNT; item++) {
		bool is_input = nm_rule_inputs(rule) >> item & 1;
		struct poke lack[] = {{PLACE_LACK, item, 0, 0}, {0}};
		struct judged judged;
		struct vm vm;

		if (!is_input && !(rule->may_read >> item & 1))
			continue;
		vm_for(&vm, &nm_rules[one->rule]);
		vm_poke(&vm, is_input ? one->holds : one->breaks);
		vm_poke(&vm, lack);
		vm_judge(&vm, &judged);
		ck_assert_msg(nm_rule_bit(judged.unknown, one->rule) ||
				      (!is_input && nm_rule_bit(judged.broken, one->rule)),
			      "%s without %s", rule->id, nm_item_name(item));
		if (is_input)
			ck_assert_msg(nm_rule_missing(rule, &judged.ctx) >> item & 1,
				      "%s does not say that it lacks %s", rule->id,
				      nm_item_name(item));
		vm_free(&vm);
	}
}
END_TEST

/* ---- The healthy guest ----------------------------------------------------------------------- */

START_TEST(healthy_guest_is_ok)
{
	static const uint32_t kernels[] = {NESTMIG_KERNEL(6, 1), NESTMIG_KERNEL(6, 12),
					   NESTMIG_KERNEL(7, 0), NESTMIG_KERNEL(7, 1),
					   NESTMIG_KERNEL(7, 2)};

	for (size_t k = 0; k < COUNT(kernels); k++) {
		struct judged judged;
		struct vm vm;

		vm_new(&vm);
		if (_i)
			vm_enter_smm(&vm);
		vm.host.kernel = kernels[k];
		vm_judge(&vm, &judged);
		for (unsigned i = 0; i < NESTMIG_RULES; i++) {
			ck_assert_msg(!nm_rule_bit(judged.broken, i), "%s", nm_rules[i].id);
			ck_assert_msg(!nm_rule_bit(judged.unknown, i), "%s", nm_rules[i].id);
		}
		vm_free(&vm);
	}
}
END_TEST

static void check_is_ok(const struct judged *judged)
{
	for (unsigned i = 0; i < NESTMIG_RULES; i++) {
		ck_assert_msg(!nm_rule_bit(judged->broken, i), "%s", nm_rules[i].id);
		ck_assert_msg(!nm_rule_bit(judged->unknown, i), "%s", nm_rules[i].id);
	}
}

/* With and without unrestricted guest, with L1 running, with a VM entry pending. */
START_TEST(healthy_vmx_guest_is_ok)
{
	static const struct poke variants[][2] = {
		{{0}}, {URG, {0}}, {VMX_IN_L1, {0}}, {VMX_PENDING, {0}}};
	static const uint32_t kernels[] = {NESTMIG_KERNEL(6, 1), NESTMIG_KERNEL(6, 12),
					   NESTMIG_KERNEL(7, 2)};

	for (size_t k = 0; k < COUNT(kernels); k++) {
		for (size_t i = 0; i < COUNT(variants); i++) {
			struct judged judged;
			struct vm vm;

			vmx_vm_new(&vm);
			vm.host.kernel = kernels[k];
			vm_poke(&vm, variants[i]);
			vm_judge(&vm, &judged);
			check_is_ok(&judged);
			vm_free(&vm);
		}
	}
}
END_TEST

/* What L1 will meet at its next VM entry is a warning, and no outcome. */
START_TEST(vmcs12_of_a_running_l1_is_no_error)
{
	static const struct poke pokes[] = {VMX_IN_L1, PIN(0), {0}};
	const struct nm_rule *rule = &nm_rules[NESTMIG_RULE_vmx_pin_allowed0];
	struct judged judged;
	struct vm vm;

	vmx_vm_new(&vm);
	vm_poke(&vm, pokes);
	vm_judge(&vm, &judged);
	ck_assert(nm_rule_bit(judged.broken, NESTMIG_RULE_vmx_pin_allowed0));
	ck_assert_int_eq(nm_rule_consequence(rule, &judged.ctx, &vm.order),
			 NM_CONSEQUENCE_NEXT_VMFAIL_7);
	ck_assert_int_eq(nm_rule_severity(rule, NM_CONSEQUENCE_NEXT_VMFAIL_7), NM_SEVERITY_WARNING);
	ck_assert_int_eq(nm_predict(judged.broken, &judged.ctx, &vm.order),
			 NM_CONSEQUENCE_ACCEPTED);
	vm.vcpu.view.nested.flags = KVMNS_GUEST_MODE;
	vm_judge(&vm, &judged);
	ck_assert_int_eq(nm_rule_severity(rule, NM_CONSEQUENCE_VMX_CONTROLS), NM_SEVERITY_ERROR);
	ck_assert_int_eq(nm_predict(judged.broken, &judged.ctx, &vm.order),
			 NM_CONSEQUENCE_VMX_CONTROLS);
	vm_free(&vm);
}
END_TEST

START_TEST(nothing_known_is_unknown)
{
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm.vcpu.view.have = 0;
	vm.vcpu.view.vendor = NESTMIG_VENDOR_UNKNOWN;
	vm.host = (struct nestmig_host_view){0};
	vm.state.memory_known = false;
	vm_judge(&vm, &judged);
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		ck_assert_msg(nm_rule_bit(judged.unknown, i), "%s", nm_rules[i].id);
	vm_free(&vm);
}
END_TEST

/* A QEMU stream says by leaving the nested state out that there is none. */
START_TEST(no_nested_state_in_a_stream_is_ok)
{
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm.vcpu.view.have &= ~(NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCB12));
	vm.vcpu.qemu.present = true;
	vm_judge(&vm, &judged);
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		ck_assert_msg(!nm_rule_bit(judged.unknown, i) && !nm_rule_bit(judged.broken, i),
			      "%s", nm_rules[i].id);
	vm_free(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	TCase *table = tcase_create("table"), *rules = tcase_create("rules");
	SRunner *runner;
	int failed;

	tcase_add_test(table, ids_are_sorted_and_unique);
	tcase_add_test(table, catalogue_is_covered);
	tcase_add_test(table, rows_are_complete);
	tcase_add_loop_test(table, healthy_guest_is_ok, 0, 2); /* in L2, in SMM */
	tcase_add_test(table, healthy_guest_is_ok);
	tcase_add_test(table, healthy_vmx_guest_is_ok);
	tcase_add_test(table, vmcs12_of_a_running_l1_is_no_error);
	tcase_add_test(table, nothing_known_is_unknown);
	tcase_add_test(table, no_nested_state_in_a_stream_is_ok);
	suite_add_tcase(suite, table);
	tcase_add_loop_test(rules, rule_breaks, 0, NESTMIG_RULES);
	tcase_add_loop_test(rules, rule_holds, 0, NESTMIG_RULES);
	tcase_add_loop_test(rules, rule_lacks_inputs, 0, NESTMIG_RULES);
	suite_add_tcase(suite, rules);
	runner = srunner_create(suite);
#ifdef NESTMIG_SANITIZED
	/* A fork of a process with ASan, and the leak check at its end, cost 0.1 s, 1,861 times. No test
	 * leaves anything behind for another, and ASan ends the program at the first wrong access. */
	srunner_set_fork_status(runner, CK_NOFORK);
#endif
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
