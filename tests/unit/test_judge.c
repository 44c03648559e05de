// SPDX-License-Identifier: GPL-2.0-or-later
/* Prediction, restore orders, bounds, and the report. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "rules_vm.h"
#include "rules_vmx_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum nm_consequence outcome_of(const struct vm *vm)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return nm_predict(judged.broken, &judged.ctx, &vm->order);
}

static bool is_broken(const struct vm *vm, enum nestmig_rule rule)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return nm_rule_bit(judged.broken, rule);
}

static bool is_unknown(const struct vm *vm, enum nestmig_rule rule)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return nm_rule_bit(judged.unknown, rule);
}

/* ---- Consequences ---------------------------------------------------------------------------- */

START_TEST(consequences_go_by_kernel)
{
	static const struct {
		enum nestmig_rule rule;
		enum nm_consequence old, new, open; /* 6.1, 7.1, not known */
	} rows[] = {
		{NESTMIG_RULE_svm_ctl_asid_zero, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL,
		 NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
		{NESTMIG_RULE_svm_ctl_evtinj_type, NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR,
		 NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
		{NESTMIG_RULE_svm_ctl_np_host, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL,
		 NM_CONSEQUENCE_NP_DROPPED, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
		{NESTMIG_RULE_svm_ctl_np_cpuid, NM_CONSEQUENCE_NONE, NM_CONSEQUENCE_NP_DROPPED,
		 NM_CONSEQUENCE_NONE},
		{NESTMIG_RULE_svm_ctl_lbr, NM_CONSEQUENCE_ACCEPTED, NM_CONSEQUENCE_NONE,
		 NM_CONSEQUENCE_NONE},
		{NESTMIG_RULE_svm_gif_nmi_init, NM_CONSEQUENCE_SET_MP_STATE_EINVAL,
		 NM_CONSEQUENCE_RUN_EINVAL, NM_CONSEQUENCE_SET_MP_STATE_EINVAL},
		{NESTMIG_RULE_svm_hdr_vmcb_pa_backed, NM_CONSEQUENCE_NEXT_EXIT_GP,
		 NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
		{NESTMIG_RULE_svm_l2_efer_reserved, NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR,
		 NM_CONSEQUENCE_SET_SREGS_EINVAL, NM_CONSEQUENCE_SET_SREGS_EINVAL},
		{NESTMIG_RULE_svm_hdr_smm_guest, NM_CONSEQUENCE_SMM_LEAVES_NESTED,
		 NM_CONSEQUENCE_SMM_LEAVES_NESTED, NM_CONSEQUENCE_SMM_LEAVES_NESTED},
	};
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm_judge(&vm, &judged);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct nm_rule *rule = &nm_rules[rows[i].rule];

		vm.host.kernel = NESTMIG_KERNEL(6, 1);
		ck_assert_int_eq(nm_rule_consequence(rule, &judged.ctx, &vm.order), rows[i].old);
		vm.host.kernel = NESTMIG_KERNEL(7, 1);
		ck_assert_int_eq(nm_rule_consequence(rule, &judged.ctx, &vm.order), rows[i].new);
		vm.host.kernel = 0;
		ck_assert_int_eq(nm_rule_consequence(rule, &judged.ctx, &vm.order), rows[i].open);
	}
	vm_free(&vm);
}
END_TEST

/* A triple fault of L2 goes to L1 if the VMCB12 intercepts it; where that is not known, no outcome
 * is claimed. */
START_TEST(triple_faults_go_by_intercept)
{
	static const uint32_t word3 = 1U << 31;
	static const struct nm_rule in_l2 = {.before = NM_CONSEQUENCE_TRIPLE_FAULT_L2};
	static const struct {
		uint64_t flags, intercepts;
		bool has_page;
		enum nm_consequence in_l2;
	} rows[] = {
		{KVMNS_GUEST_MODE, word3, true, NM_CONSEQUENCE_TRIPLE_FAULT_TO_L1},
		{KVMNS_GUEST_MODE, ~word3, true, NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN},
		{KVMNS_GUEST_MODE, word3, false, NM_CONSEQUENCE_TRIPLE_FAULT_L2},
		{0, word3, false, NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct poke pokes[] = {PAGE(intercept_word3, rows[i].intercepts),
					     VIEW(nested.flags, rows[i].flags),
					     {0}};
		struct nestmig_vcpu_view *v;
		struct judged judged;
		struct vm vm;

		vm_new(&vm);
		vm_poke(&vm, pokes);
		v = &vm.vcpu.view;
		if (!rows[i].has_page)
			v->have &= ~NESTMIG_HAVE(VMCB12);
		vm_judge(&vm, &judged);
		ck_assert_int_eq(nm_rule_consequence(&in_l2, &judged.ctx, &vm.order),
				 rows[i].in_l2);
		ck_assert_int_eq(nm_is_open(rows[i].in_l2, &judged.ctx),
				 !rows[i].has_page && rows[i].flags);
		vm_free(&vm);
	}
}
END_TEST

/* With the kernel not known, a broken rule that some kernels do not ask for is unknown. */
START_TEST(kernel_not_known)
{
	static const struct poke pokes[] = {
		LACK(HOST_KERNEL), CPUID(8000000A_EDX, 0x10008), PAGE(event_inj, 0x80000120), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_ctl_np_cpuid));
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_ctl_evtinj_type));
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL);
	vm_free(&vm);
}
END_TEST

/* EFER bits that the processor has but the guest's CPUID lacks matter from 7.1 on. */
START_TEST(efer_of_l2_goes_by_kernel)
{
	static const struct poke no_nx[] = {
		VIEW(sregs.efer, 0x1d00), CPUID(80000001_EDX, 1 << 25 | 1 << 29), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, no_nx);
	ck_assert(!is_broken(&vm, NESTMIG_RULE_svm_l2_efer_reserved));
	ck_assert(!is_unknown(&vm, NESTMIG_RULE_svm_l2_efer_reserved));
	vm.host.kernel = NESTMIG_KERNEL(7, 1);
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_l2_efer_reserved));
	vm.host.kernel = 0;
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_l2_efer_reserved));
	vm_free(&vm);
}
END_TEST

/* KVM takes LMSLE from L1, but not every processor does. */
START_TEST(lmsle_of_l1_is_open)
{
	static const struct poke lmsle[] = {PAGE(save_efer, 0x3500), {0}};
	static const struct poke bad[] = {PAGE(save_efer, 0x3502), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, lmsle);
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_host_efer_valid));
	vm_poke(&vm, bad);
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_host_efer_valid));
	vm_free(&vm);
}
END_TEST

/* Flags 0 with EFER.SVME clear: refused before 7.0. */
START_TEST(flags_zero_go_by_kernel)
{
	static const struct poke pokes[] = {VIEW(nested.flags, 0), VIEW(sregs.efer, 0x500), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_hdr_flags_svme_off));
	vm.host.kernel = NESTMIG_KERNEL(7, 0);
	ck_assert(!is_broken(&vm, NESTMIG_RULE_svm_hdr_flags_svme_off));
	vm.host.kernel = 0;
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_hdr_flags_svme_off));
	vm_free(&vm);
}
END_TEST

/* On an Intel host an SVM blob has the wrong format, and a VMX blob on an AMD host. */
START_TEST(vendors_do_not_mix)
{
	struct vm vm;

	vm_new(&vm);
	vm.host.vendor = NESTMIG_VENDOR_INTEL;
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_hdr_format));
	vm.host.vendor = NESTMIG_VENDOR_UNKNOWN;
	ck_assert(is_unknown(&vm, NESTMIG_RULE_svm_hdr_format));
	vm.vcpu.view.vendor = NESTMIG_VENDOR_INTEL;
	vm.vcpu.view.nested.format = KVMNS_FORMAT_VMX;
	vm.host.vendor = NESTMIG_VENDOR_AMD;
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_hdr_format));
	vm.host.vendor = NESTMIG_VENDOR_INTEL;
	ck_assert(!is_broken(&vm, NESTMIG_RULE_svm_hdr_format));
	vm_free(&vm);
}
END_TEST

/* ---- Prediction ------------------------------------------------------------------------------ */

/* Rows add one broken rule each, from the last stage to the first: the outcome follows. */
START_TEST(first_stage_decides)
{
	static const struct {
		struct poke pokes[3];
		enum nm_consequence outcome;
	} rows[] = {
		{{{0}}, NM_CONSEQUENCE_ACCEPTED},
		{{VIEW(hsave_pa, 0)}, NM_CONSEQUENCE_ACCEPTED}, /* a warning */
		{{PAGE(save_efer, 0x1000), RAM(GPA_L1_CR3, 0x7)},
		 NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
		/* The exit that this makes ends L1, too. */
		{{VIEW(sregs.cs.db, 1)}, NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
		{{PAGE(save_efer, 0x1500)}, NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR},
		{{PAGE(msrpm_base_pa, RAM_BACKED)}, NM_CONSEQUENCE_FIRST_RUN_INTERNAL_ERROR},
		{{VIEW(debugregs.dr7, UINT64_C(1) << 32)}, NM_CONSEQUENCE_SET_DEBUGREGS_EINVAL},
		{{PAGE(asid, 0)}, NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL},
		{{VIEW(sregs.cr0, 0xa0000033)}, NM_CONSEQUENCE_SET_SREGS_EINVAL},
	};
	struct vm vm;

	vm_new(&vm);
	for (size_t i = 0; i < COUNT(rows); i++) {
		vm_poke(&vm, rows[i].pokes);
		ck_assert_msg(outcome_of(&vm) == rows[i].outcome, "row %zu: %s", i,
			      nm_consequences[outcome_of(&vm)].name);
	}
	vm_free(&vm);
}
END_TEST

START_TEST(restore_order_decides)
{
	static const struct poke pokes[] = {
		PAGE(asid, 0), VIEW(debugregs.dr7, UINT64_C(1) << 32), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	nm_order_parse("KVM_SET_DEBUGREGS,KVM_SET_SREGS2,KVM_SET_NESTED_STATE", &vm.order);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SET_DEBUGREGS_EINVAL);
	nm_order_parse("SREGS, NESTED_STATE, DEBUGREGS, FOO, SREGS2", &vm.order);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL);
	ck_assert_uint_eq(vm.order.rank[NM_STAGE_SET_SREGS], 0);
	ck_assert_uint_eq(vm.order.rank[NM_STAGE_SET_DEBUGREGS], 2);
	ck_assert_uint_eq(vm.order.rank[NM_STAGE_SET_REGS], 3);
	ck_assert_uint_eq(vm.order.rank[NM_STAGE_NONE], NM_STAGES - 1);
	vm_free(&vm);
}
END_TEST

/* Nested state before SREGS: the vCPU's EFER is still 0. */
START_TEST(sregs_have_to_come_first)
{
	struct vm vm;

	vm_new(&vm);
	nm_order_parse("KVM_SET_NESTED_STATE,KVM_SET_SREGS", &vm.order);
	ck_assert(is_broken(&vm, NESTMIG_RULE_svm_l2_efer_svme));
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SET_NESTED_STATE_EINVAL);
	vm.vcpu.view.nested.flags = KVMNS_GIF_SET;
	ck_assert(!is_broken(&vm, NESTMIG_RULE_svm_hdr_flags_svme_off));
	vm_free(&vm);
}
END_TEST

START_TEST(smm_goes_by_order)
{
	static const struct poke smm[] = {VIEW(events.smi_smm, 1), {0}};
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, smm);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SMM_LEAVES_NESTED);
	nm_order_parse("KVM_SET_SREGS,KVM_SET_VCPU_EVENTS,KVM_SET_NESTED_STATE", &vm.order);
	ck_assert_int_eq(outcome_of(&vm), NM_CONSEQUENCE_SET_NESTED_STATE_SMM);
	vm_free(&vm);
}
END_TEST

/* ---- Bounds ---------------------------------------------------------------------------------- */

static struct nestmig_limits limits_of(const struct vm *vm)
{
	struct judged judged;

	vm_judge(vm, &judged);
	return judged.ctx.lim;
}

/* A CPUID of which no register is known says no more than none at all. */
START_TEST(empty_cpuid_is_no_cpuid)
{
	static const struct poke no_cpuid[] = {LACK(CPUID), {0}};
	struct judged empty, none;
	struct vm vm;

	vm_new(&vm);
	vm.vcpu.view.cpuid.have = 0;
	vm_judge(&vm, &empty);
	vm_poke(&vm, no_cpuid);
	vm_judge(&vm, &none);
	for (unsigned i = 0; i < NM_RULE_WORDS; i++) {
		ck_assert_uint_eq(empty.broken[i], none.broken[i]);
		ck_assert_uint_eq(empty.unknown[i], none.unknown[i]);
	}
	vm_free(&vm);
}
END_TEST

START_TEST(physical_width)
{
	static const struct poke no_cpuid[] = {LACK(CPUID), {0}};
	struct vm vm;

	vm_new(&vm);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_min, 40);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_max, 40);
	vm.vcpu.view.cpuid.have &= ~(1U << NESTMIG_CPUID_80000008_EAX);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_min, 32);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_max, 52);
	vm_poke(&vm, no_cpuid);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_min, 32);
	ck_assert_uint_eq(limits_of(&vm).phys_bits_max, 52);
	vm.extents[1].size = UINT64_C(0x280000000) - RAM_SIZE; /* 10 GiB: 34 bits */
	ck_assert_uint_eq(limits_of(&vm).phys_bits_min, 34);
	vm.extents[1].gpa = UINT64_C(1) << 60;
	ck_assert_uint_eq(limits_of(&vm).phys_bits_min, 32);
	vm_free(&vm);
}
END_TEST

START_TEST(addresses_without_cpuid)
{
	static const struct {
		uint64_t vmcb_pa;
		bool broken, unknown;
	} rows[] = {
		{0xfffff000, false, false},
		{UINT64_C(0x100000000), false, true},
		{UINT64_C(1) << 51, false, true},
		{UINT64_C(1) << 52, true, false},
	};
	static const struct poke no_cpuid[] = {LACK(CPUID), {0}};
	enum nestmig_rule rule = NESTMIG_RULE_svm_hdr_vmcb_pa_width;
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, no_cpuid);
	for (size_t i = 0; i < COUNT(rows); i++) {
		vm.vcpu.view.nested.vmcb_pa = rows[i].vmcb_pa;
		ck_assert_msg(is_broken(&vm, rule) == rows[i].broken, "row %zu", i);
		ck_assert_msg(is_unknown(&vm, rule) == rows[i].unknown, "row %zu", i);
	}
	vm_free(&vm);
}
END_TEST

#define BIT64(bit) (UINT64_C(1) << (bit))

START_TEST(cr4_bounds)
{
	static const struct poke none[] = {LACK(CPUID), LACK(HOST_CPUID), LACK(HOST_KERNEL), {0}};
	struct nestmig_limits lim;
	struct vm vm;

	vm_new(&vm);
	lim = limits_of(&vm);
	ck_assert_uint_eq(lim.cr4_ok, 0x7ff | BIT64(11) | BIT64(12) | BIT64(16) | BIT64(17) |
					      BIT64(18) | BIT64(20) | BIT64(21) | BIT64(22));
	ck_assert_uint_eq(lim.cr4_bad, ~lim.cr4_ok);
	/* One side alone says no. */
	vm.host.cpuid.word[NESTMIG_CPUID_7_0_EBX] &= ~(1U << 20);
	vm.vcpu.view.cpuid.have &= ~(1U << NESTMIG_CPUID_7_0_ECX);
	lim = limits_of(&vm);
	ck_assert(lim.cr4_bad & BIT64(21));
	/* Of a register that nothing is known of, neither. */
	ck_assert(!(lim.cr4_bad & BIT64(22)));
	ck_assert(!(lim.cr4_ok & BIT64(22)));
	/* Nothing known: the old bits are fine, bits of no kernel are not, the rest is open. */
	vm_poke(&vm, none);
	lim = limits_of(&vm);
	ck_assert_uint_eq(lim.cr4_ok, 0x7ff);
	ck_assert(lim.cr4_bad & BIT64(14));
	ck_assert(lim.cr4_bad & BIT64(13)); /* VMXE on an AMD host */
	ck_assert(!(lim.cr4_bad & BIT64(20)));
	ck_assert(!(lim.cr4_bad & BIT64(23)));
	vm_free(&vm);
}
END_TEST

START_TEST(efer_bounds)
{
	static const struct poke no_cpuid[] = {LACK(CPUID), {0}};
	struct nestmig_limits lim;
	struct vm vm;

	vm_new(&vm);
	lim = limits_of(&vm);
	ck_assert_uint_eq(lim.efer_ok, 0x1d01 | BIT64(13) | BIT64(14));
	ck_assert_uint_eq(lim.efer_bad, ~lim.efer_ok);
	ck_assert_uint_eq(lim.efer_hw_ok, 0x1d01 | BIT64(14));
	ck_assert(lim.efer_hw_bad & BIT64(1));
	vm.host.nested = 0;
	ck_assert(limits_of(&vm).efer_bad & BIT64(12));
	vm.host.nested = 1;
	vm_poke(&vm, no_cpuid);
	lim = limits_of(&vm);
	ck_assert_uint_eq(lim.efer_ok, 1 | BIT64(13));
	ck_assert(!(lim.efer_bad & 0x1d01));
	vm_free(&vm);
}
END_TEST

/* ---- The report ------------------------------------------------------------------------------ */

static struct nestmig_report *report_of(struct vm *vm)
{
	struct nestmig_report *report = NULL;
	struct nestmig_host host = {.view = vm->host, .kernel = (char *)"6.1.0-44-amd64"};

	ck_assert_int_eq(nestmig_judge(&vm->state, &host, &report), NESTMIG_OK);
	return report;
}

static json_t *json_of(const struct nestmig_report *report)
{
	char *text = NULL;
	json_t *json;

	ck_assert_int_eq(nestmig_report_json(report, "a.nms", &text), NESTMIG_OK);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	json = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(json);
	free(text);
	return json;
}

static const char *string_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "(none)";
}

START_TEST(report_of_a_failure)
{
	static const struct poke pokes[] = {PAGE(asid, 0), VIEW(hsave_pa, 0), LACK(MEMORY), {0}};
	struct nestmig_report *report;
	json_t *json, *vcpu, *finding;
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_FAIL);
	json = json_of(report);
	ck_assert_str_eq(string_at(json, "schema"), "nestmig.report/1");
	ck_assert_str_eq(string_at(json, "file"), "a.nms");
	ck_assert_str_eq(string_at(json, "vendor"), "amd");
	ck_assert_str_eq(string_at(json, "host"), "6.1.0-44-amd64");
	ck_assert_str_eq(string_at(json, "verdict"), "fail");
	vcpu = json_array_get(json_object_get(json, "vcpus"), 0);
	ck_assert_str_eq(string_at(vcpu, "mode"), "L2");
	ck_assert_str_eq(string_at(vcpu, "outcome"), "ioctl-rejected");
	ck_assert_str_eq(string_at(vcpu, "ioctl"), "KVM_SET_NESTED_STATE");
	ck_assert_str_eq(string_at(vcpu, "errno"), "EINVAL");
	finding = json_array_get(json_object_get(vcpu, "findings"), 0);
	ck_assert_str_eq(string_at(finding, "rule"), "svm-ctl-asid-zero");
	ck_assert_str_eq(string_at(finding, "severity"), "error");
	ck_assert_str_eq(string_at(finding, "stage"), "KVM_SET_NESTED_STATE");
	ck_assert_str_eq(string_at(json_object_get(finding, "fields"), "vmcb12.control.asid"),
			 "0x0");
	finding = json_array_get(json_object_get(vcpu, "findings"), 1);
	ck_assert_str_eq(string_at(finding, "rule"), "svm-host-hsave-msr");
	ck_assert_uint_gt(json_array_size(json_object_get(vcpu, "unknown")), 0);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(vcpu, "missing"), 0)),
			 "memory");
	json_decref(json);
	nestmig_report_free(report);
	vm_free(&vm);
}
END_TEST

START_TEST(report_of_the_unknown)
{
	static const struct poke pokes[] = {LACK(EVENTS), {0}};
	struct nestmig_report *report;
	char *text = NULL;
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_UNKNOWN);
	ck_assert_int_eq(nestmig_report_text(report, "a\033[31m", false, &text), NESTMIG_OK);
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_nonnull(strstr(text, " need events"));
	ck_assert_ptr_nonnull(strstr(text, "svm-hdr-smm-guest"));
	free(text);
	nestmig_report_free(report);
	vm_free(&vm);
}
END_TEST

/* Outside guest mode the registers are L1's, and are judged as such. */
START_TEST(registers_of_l1_are_judged)
{
	static const struct poke l1[] = {VIEW(nested.flags, KVMNS_GIF_SET),
					 VIEW(nested.vmcb_pa, 0),
					 VIEW(nested.size, KVMNS_HEADER_SIZE),
					 {0}};
	struct nestmig_report *report;
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, l1);
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_OK);
	nestmig_report_free(report);
	vm.vcpu.view.sregs.cs.db = 1;
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_FAIL);
	nestmig_report_free(report);
	vm_free(&vm);
}
END_TEST

START_TEST(no_host_and_no_vcpu)
{
	struct nestmig_report *report = NULL;
	struct vm vm;

	vm_new(&vm);
	ck_assert_int_eq(nestmig_judge(&vm.state, NULL, &report), NESTMIG_OK);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_UNKNOWN);
	nestmig_report_free(report);
	vm.state.vcpu_count = 0;
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_UNKNOWN);
	nestmig_report_free(report);
	nestmig_report_free(NULL);
	vm_free(&vm);
}
END_TEST

/* Of either vendor. */
START_TEST(sound_vmx_state_is_ok)
{
	struct nestmig_report *report = NULL;
	struct vm vm;

	vmx_vm_new(&vm);
	report = report_of(&vm);
	ck_assert_int_eq(nestmig_report_verdict(report), NESTMIG_VERDICT_OK);
	nestmig_report_free(report);
	vm_free(&vm);
}
END_TEST

START_TEST(explanations)
{
	struct nestmig_detail detail = {0};
	char *text = NULL;

	for (size_t i = 0; i < nm_rule_count; i++) {
		json_t *json;

		ck_assert_int_eq(nestmig_explain(nm_rules[i].id, false, &text, &detail),
				 NESTMIG_OK);
		ck_assert_ptr_nonnull(strstr(text, "What to do"));
		free(text);
		ck_assert_int_eq(nestmig_explain(nm_rules[i].id, true, &text, &detail), NESTMIG_OK);
		json = json_loads(text, 0, NULL);
		ck_assert_str_eq(string_at(json, "remedy"), nm_rules[i].remedy);
		json_decref(json);
		free(text);
	}
	text = NULL;
	ck_assert_int_eq(nestmig_explain("svm-ctl-asid", false, &text, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_ptr_null(text);
	ck_assert_ptr_nonnull(strstr(detail.text, "svm-ctl-asid-range"));
	ck_assert_int_eq(nestmig_rules_text(&text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "svm-l2-segs-canonical"));
	free(text);
	ck_assert_int_eq(nestmig_rules_json(&text), NESTMIG_OK);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		consequences_go_by_kernel,
		triple_faults_go_by_intercept,
		kernel_not_known,
		efer_of_l2_goes_by_kernel,
		lmsle_of_l1_is_open,
		registers_of_l1_are_judged,
		flags_zero_go_by_kernel,
		vendors_do_not_mix,
		first_stage_decides,
		restore_order_decides,
		sregs_have_to_come_first,
		smm_goes_by_order,
		empty_cpuid_is_no_cpuid,
		physical_width,
		addresses_without_cpuid,
		cr4_bounds,
		efer_bounds,
		report_of_a_failure,
		report_of_the_unknown,
		no_host_and_no_vcpu,
		sound_vmx_state_is_ok,
		explanations,
	};
	Suite *suite = suite_create("judge");
	TCase *all = tcase_create("judge");
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
