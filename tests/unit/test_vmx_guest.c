// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L2's guest state: which of two copies of a register decides in which order of ioctls, and what becomes
 * of an L2 whose segments a restricted guest cannot have.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "rules_vmx_guest.h"
#include "vmcs/predicates.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

#define RULE_OF(ident) NESTMIG_RULE_vmx_guest_##ident

/* Orders: everything but the MSRs after the nested state; MSRs, too; everything before it. */
#define NESTED_FIRST "KVM_SET_MSRS,KVM_SET_NESTED_STATE,KVM_SET_SREGS"
#define MSRS_LAST    "KVM_SET_NESTED_STATE,KVM_SET_SREGS,KVM_SET_MSRS"
#define NESTED_LAST                                                                                \
	"KVM_SET_MSRS,KVM_SET_SREGS,KVM_SET_REGS,KVM_SET_VCPU_EVENTS,KVM_SET_NESTED_STATE"

static void judge(struct vm *vm, const char *order, const struct poke *pokes, struct judged *judged)
{
	vmx_vm_new(vm);
	vm->state.restore_order = (char *)(uintptr_t)order;
	nm_order_parse(order, &vm->order);
	vm_poke(vm, pokes);
	vm_judge(vm, judged);
}

static enum nestmig_holds holds(const struct judged *judged, unsigned rule)
{
	if (nm_rule_bit(judged->broken, rule))
		return NESTMIG_BROKEN;
	return nm_rule_bit(judged->unknown, rule) ? NESTMIG_UNKNOWN : NESTMIG_HOLDS;
}

/* ---- Which copy decides ---------------------------------------------------------------------- */

#define SREGS_BAD_SS VIEW(sregs.ss.selector, 0x13)
#define VMCS_BAD_SS  VMCS(guest_ss_selector, 0x13)

static const struct source_case {
	unsigned rule;
	const char *order; /* NULL: QEMU's */
	struct poke pokes[MAX_POKES];
	enum nestmig_holds holds;
} sources[] = {
	/* Segments: the VMCS12, unless SREGS come later. */
	{RULE_OF(ss_rpl_cs_rpl), NULL, {VMCS_BAD_SS}, NESTMIG_BROKEN},
	{RULE_OF(ss_rpl_cs_rpl), NULL, {SREGS_BAD_SS}, NESTMIG_HOLDS},
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {VMCS_BAD_SS}, NESTMIG_HOLDS},
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {SREGS_BAD_SS}, NESTMIG_BROKEN},
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {SREGS_BAD_SS, VMX_PENDING}, NESTMIG_BROKEN},
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {LACK(SREGS)}, NESTMIG_UNKNOWN},
	/* With L1 running both are L1's business, and its next entry takes the VMCS12. */
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {VMX_IN_L1, VMCS_BAD_SS}, NESTMIG_BROKEN},
	{RULE_OF(ss_rpl_cs_rpl), NESTED_FIRST, {VMX_IN_L1, SREGS_BAD_SS}, NESTMIG_HOLDS},
	/* SREGS cannot say what KVM makes of them. */
	{RULE_OF(ds_p), NESTED_FIRST, {VIEW(sregs.ds.present, 0)}, NESTMIG_HOLDS},
	{RULE_OF(cs_usable), NESTED_FIRST, {VIEW(sregs.cs.present, 0)}, NESTMIG_BROKEN},
	{RULE_OF(ds_type_accessed), NESTED_FIRST, {VIEW(sregs.ds.type, 2)}, NESTMIG_BROKEN},
	{RULE_OF(ds_type_accessed), NESTED_FIRST, {URG, VIEW(sregs.ds.type, 2)}, NESTMIG_HOLDS},
	{RULE_OF(gdtr_limit), NESTED_FIRST, {VMCS(guest_gdtr_limit, 0x10000)}, NESTMIG_HOLDS},
	/* Real mode left by the nested state brings back the segments of real mode. */
	{RULE_OF(ss_rpl_cs_rpl),
	 NULL,
	 {VIEW(sregs.cr0, 0x30), HOST(unrestricted_guest, 0)},
	 NESTMIG_UNKNOWN},
	{RULE_OF(ss_rpl_cs_rpl), NULL, {VIEW(sregs.cr0, 0x30)}, NESTMIG_HOLDS},
	/* Paging turned on by the nested state makes TR's type that of long mode. */
	{RULE_OF(tr_type_64),
	 NULL,
	 {VIEW(sregs.cr0, 0x31), VIEW(sregs.efer, 0x101), VMCS(guest_tr_ar_bytes, 0x83)},
	 NESTMIG_HOLDS},
	/* RFLAGS: REGS, unless they came before. */
	{RULE_OF(rflags_reserved), NULL, {VMCS(guest_rflags, 0xa)}, NESTMIG_HOLDS},
	{RULE_OF(rflags_reserved), NESTED_LAST, {VMCS(guest_rflags, 0xa)}, NESTMIG_BROKEN},
	{RULE_OF(rflags_reserved), NESTED_LAST, {VIEW(regs.rflags, 0xa)}, NESTMIG_HOLDS},
	{RULE_OF(rflags_bit1), NULL, {VIEW(regs.rflags, 0)}, NESTMIG_HOLDS},
	{RULE_OF(rflags_bit1), NESTED_LAST, {VMCS(guest_rflags, 0)}, NESTMIG_BROKEN},
	/* Interruptibility: the VMCS12 with an entry pending, then EVENTS for what they bring. */
	{RULE_OF(intr_sti_if), NULL, {VMCS(guest_interruptibility_info, 1)}, NESTMIG_HOLDS},
	{RULE_OF(intr_sti_if),
	 NULL,
	 {VMX_PENDING, VMCS(guest_interruptibility_info, 1)},
	 NESTMIG_HOLDS},
	{RULE_OF(intr_sti_if),
	 NULL,
	 {VMX_PENDING, VMCS(guest_interruptibility_info, 1), VIEW(events.flags, 0x9)},
	 NESTMIG_BROKEN},
	{RULE_OF(intr_sti_if),
	 NESTED_LAST,
	 {VMX_PENDING, VMCS(guest_interruptibility_info, 1)},
	 NESTMIG_BROKEN},
	{RULE_OF(intr_sti_if), NESTED_LAST, {VIEW(events.intr_shadow, 2)}, NESTMIG_HOLDS},
	/* MSRs that come later are made canonical. */
	{RULE_OF(sysenter_esp),
	 MSRS_LAST,
	 {VMCS(guest_sysenter_esp, BEYOND_48_BITS), VIEW(msrs_listed, NESTMIG_LISTED_SYSENTER_ESP)},
	 NESTMIG_HOLDS},
	{RULE_OF(sysenter_esp),
	 MSRS_LAST,
	 {VMCS(guest_sysenter_esp, BEYOND_48_BITS)},
	 NESTMIG_BROKEN},
	{RULE_OF(sysenter_esp),
	 MSRS_LAST,
	 {VMCS(guest_sysenter_esp, BEYOND_48_BITS), LACK(MSRS)},
	 NESTMIG_UNKNOWN},
	{RULE_OF(fs_base_canonical),
	 MSRS_LAST,
	 {VIEW(sregs.fs.base, BEYOND_48_BITS), VIEW(msrs_listed, NESTMIG_LISTED_FS_BASE)},
	 NESTMIG_UNKNOWN},
	/* What KVM checks itself it takes from the VMCS12, whatever comes later. */
	{RULE_OF(cr4_fixed0), NESTED_FIRST, {VMCS(guest_cr4, 0x20)}, NESTMIG_BROKEN},
	{RULE_OF(cr3_width), NESTED_FIRST, {VMCS(guest_cr3, BEYOND_40_BITS)}, NESTMIG_BROKEN},
	/* PDPTEs of SREGS2, or those of the VMCS12. */
	{RULE_OF(pdptr2), NESTED_FIRST, {PAE, VMCS(guest_pdptr2, 3)}, NESTMIG_UNKNOWN},
	/* Their width is the processor's, here of 40 bits. */
	{RULE_OF(pdptr1), NULL, {PAE, VMCS(guest_pdptr1, BEYOND_40_BITS | 1)}, NESTMIG_BROKEN},
	{RULE_OF(pdptr1), NULL, {PAE, VMCS(guest_pdptr1, BEYOND_40_BITS)}, NESTMIG_HOLDS},
	{RULE_OF(pdptr1),
	 NULL,
	 {PAE, VMCS(guest_pdptr1, BEYOND_40_BITS | 1), HOST_WORD(80000008_EAX, 46)},
	 NESTMIG_HOLDS},
	{RULE_OF(pdptr1),
	 NULL,
	 {PAE, VMCS(guest_pdptr1, BEYOND_40_BITS | 1), LACK(HOST_CPUID)},
	 NESTMIG_UNKNOWN},
	{RULE_OF(pdpte_mem),
	 NULL,
	 {PAE, NO_EPT, VIEW(sregs.cr3, 0x105000), RAM(GPA_L2_CR3, 3)},
	 NESTMIG_UNKNOWN},
};

START_TEST(source)
{
	const struct source_case *one = &sources[_i];
	struct judged judged;
	struct vm vm;

	judge(&vm, one->order, one->pokes, &judged);
	ck_assert_msg(holds(&judged, one->rule) == one->holds, "%s, case %d: %d, not %d",
		      nm_rules[one->rule].id, _i, holds(&judged, one->rule), one->holds);
	vm_free(&vm);
}
END_TEST

START_TEST(pdptes_of_sregs2)
{
	static const struct poke pokes[] = {PAE, NO_EPT, RAM(GPA_L2_CR3, 3), {0}};
	struct judged judged;
	struct vm vm;

	judge(&vm, NULL, pokes, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(pdpte_mem)), NESTMIG_BROKEN);
	vm.vcpu.view.have |= NESTMIG_HAVE(PDPTRS);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(pdpte_mem)), NESTMIG_HOLDS);
	put(vm.page + VMCS12_OFFSET_secondary_vm_exec_control, 4, HEALTHY_PROC2);
	nm_order_parse(NESTED_FIRST, &vm.order);
	vm.vcpu.view.sregs.pdptrs[2] = 3;
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(pdptr2)), NESTMIG_BROKEN);
	vm_free(&vm);
}
END_TEST

/* ---- Segments that a restricted guest cannot have -------------------------------------------- */

static const struct outcome_case {
	const char *order;
	struct poke pokes[MAX_POKES];
	enum nm_consequence outcome;
} outcomes[] = {
	/* Seed 000: KVM_SET_NESTED_STATE, KVM_SET_SREGS; by kernel. */
	{NULL, {VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NESTED_FIRST, {SREGS_BAD_SS}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NULL, {KERNEL(5, 16), VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NULL, {KERNEL(5, 15), VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION},
	{NULL, {KERNEL(7, 2), VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	/* With a VM entry pending the VM dies, and from 6.15 KVM_RUN says why. */
	{NULL, {VMX_PENDING, VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_RUN_EIO},
	{NESTED_FIRST, {VMX_PENDING, SREGS_BAD_SS}, NM_CONSEQUENCE_EMULATION_RUN_EIO},
	{NULL, {KERNEL(5, 15), VMX_PENDING, VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_RUN_EIO},
	{NULL, {KERNEL(5, 14), VMX_PENDING, VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION},
	{NULL, {KERNEL(6, 15), VMX_PENDING, VMCS_BAD_SS}, NM_CONSEQUENCE_EMULATION_INTERNAL_ERROR},
	/* An exception to deliver cannot be emulated. */
	{NULL,
	 {VMCS_BAD_SS, VIEW(events.exc_injected, 1)},
	 NM_CONSEQUENCE_FIRST_RUN_PENDING_EXCEPTION},
	{NULL,
	 {VMCS_BAD_SS, VIEW(events.flags, 0x2d), VIEW(events.triple_fault, 1)},
	 NM_CONSEQUENCE_FIRST_RUN_PENDING_EXCEPTION},
	{NULL,
	 {VMCS_BAD_SS, VIEW(events.flags, 0x1d), VIEW(events.exc_pending, 1),
	  VIEW(events.exc_nr, 6)},
	 NM_CONSEQUENCE_FIRST_RUN_PENDING_EXCEPTION},
	/* KVM_SET_REGS drops it. */
	{"KVM_SET_MSRS,KVM_SET_SREGS,KVM_SET_NESTED_STATE,KVM_SET_VCPU_EVENTS,KVM_SET_REGS",
	 {VMCS_BAD_SS, VIEW(events.flags, 0x1d), VIEW(events.exc_pending, 1),
	  VIEW(events.exc_nr, 6)},
	 NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	/* Unrestricted guest, or a KVM that does not judge: the processor's word. */
	{NULL, {URG, VMCS_BAD_SS}, NM_CONSEQUENCE_ACCEPTED},
	{NULL, {URG, VMCS(guest_tr_selector, 0x1c)}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {HOST(no_emulation, 1), VMCS_BAD_SS}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {HOST(no_emulation, 1), VMCS(guest_cs_ar_bytes, 0x1a09b)}, NM_CONSEQUENCE_ACCEPTED},
	/* What KVM misses the processor finds: an unusable SS, P, reserved bits; DPL in virtual-8086
	 * mode. */
	{NULL,
	 {VMCS(guest_cs_ar_bytes, 0xa09f), VMCS(guest_ss_ar_bytes, AR_UNUSABLE | 0x60)},
	 NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {VMCS(guest_tr_ar_bytes, 0x0b)}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {V86, VMCS(guest_ds_ar_bytes, 0xd3)}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {V86, VMCS(guest_ds_ar_bytes, 0x10f3)}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NULL, {V86, VMCS(guest_cs_ar_bytes, 0xfb)}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	{NULL, {V86, VMCS(guest_ds_base, 0x10)}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NULL, {URG, V86, VMCS(guest_ds_base, 0x10)}, NM_CONSEQUENCE_VMENTRY_EXIT_33},
	/* KVM's compare of CS.DPL with CS.RPL. */
	{NULL,
	 {VMCS(guest_cs_selector, 0xb), VMCS(guest_ss_selector, 0x13),
	  VMCS(guest_ss_ar_bytes, AR_UNUSABLE)},
	 NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	/* The entry that the processor would refuse never comes. */
	{NULL,
	 {VMCS_BAD_SS, VMCS(guest_fs_base, BEYOND_48_BITS)},
	 NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	/* REGS that make it virtual-8086 mode, without the segments of that. */
	{NULL, {PAE, VIEW(regs.rflags, 0x20002)}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	{NULL, {V86, VIEW(regs.rflags, 2)}, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT},
	/* L1 may still correct it. */
	{NULL, {VMX_IN_L1, VMCS_BAD_SS}, NM_CONSEQUENCE_ACCEPTED},
	/* Guest state that KVM checks. */
	{NULL, {VMCS(guest_cr3, BEYOND_40_BITS)}, NM_CONSEQUENCE_SET_NESTED_STATE_2},
	{NULL, {VMCS(guest_cr0, 0x31)}, NM_CONSEQUENCE_VMX_GUEST_STATE},
};

START_TEST(outcome)
{
	const struct outcome_case *one = &outcomes[_i];
	enum nm_consequence predicted;
	struct judged judged;
	struct vm vm;

	judge(&vm, one->order, one->pokes, &judged);
	predicted = nm_predict(judged.broken, &judged.ctx, &vm.order);
	ck_assert_msg(predicted == one->outcome, "case %d: %s, not %s", _i,
		      nm_consequences[predicted].name, nm_consequences[one->outcome].name);
	for (unsigned i = 0; i < NESTMIG_RULES; i++)
		ck_assert_msg(!nm_rule_bit(judged.unknown, i), "%s", nm_rules[i].id);
	vm_free(&vm);
}
END_TEST

/* Each time another number. */
static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* A few changes to the selectors, limits, access rights and bases of the VMCS12, in bits that matter. */
static void change_segments(struct vm *vm, uint64_t *seed)
{
	for (unsigned i = 0; i < 1 + next_random(seed) % 3; i++) {
		unsigned reg = next_random(seed) % 8;
		uint8_t *ar = vm->page + VMCS12_OFFSET_guest_es_ar_bytes + 4 * reg;

		switch (next_random(seed) % 4) {
		case 0:
			vm->page[VMCS12_OFFSET_guest_es_selector + 2 * reg] ^=
				(uint8_t)(1U << next_random(seed) % 8);
			break;
		case 1:
			vm->page[VMCS12_OFFSET_guest_es_limit + 4 * reg + next_random(seed) % 4] ^=
				(uint8_t)(1U << next_random(seed) % 8);
			break;
		case 2:
			vm->page[VMCS12_OFFSET_guest_es_base + 8 * reg + next_random(seed) % 8] ^=
				(uint8_t)(1U << next_random(seed) % 8);
			break;
		default:
			put(ar, 4, nm_le32(ar) ^ 1U << next_random(seed) % 17);
		}
	}
}

/* Whatever KVM does not enter breaks a rule, and L1 sees a triple fault, whatever else is wrong. */
START_TEST(kvm_finds_no_more_than_rules)
{
	static const struct poke kinds[][2] = {{{0}}, {V86, {0}}, {PAE, {0}}, {URG, {0}}};
	unsigned refused = 0, left = 0;
	uint64_t seed = 1;

	for (unsigned n = 0; n < 4000; n++) {
		enum nm_consequence predicted;
		struct judged judged;
		unsigned broken = 0;
		struct vm vm;

		vmx_vm_new(&vm);
		vm_poke(&vm, kinds[n % COUNT(kinds)]);
		change_segments(&vm, &seed);
		vm_judge(&vm, &judged);
		for (unsigned i = 0; i < NESTMIG_RULES; i++)
			broken += !strncmp(nm_rules[i].id, "vmx-guest-", 10) &&
				  nm_rule_bit(judged.broken, i);
		predicted = nm_predict(judged.broken, &judged.ctx, &vm.order);
		if (nm_vmx_guest_valid(&judged.ctx) == NESTMIG_BROKEN) {
			ck_assert_msg(broken, "no rule says why, change %u", n);
			ck_assert_int_eq(predicted, NM_CONSEQUENCE_EMULATION_TRIPLE_FAULT);
			refused++;
		} else if (broken) {
			ck_assert_int_eq(predicted, NM_CONSEQUENCE_VMENTRY_EXIT_33);
			left++;
		} else {
			ck_assert_int_eq(predicted, NM_CONSEQUENCE_ACCEPTED);
		}
		vm_free(&vm);
	}
	ck_assert_uint_gt(refused, 500);
	ck_assert_uint_gt(left, 500);
}
END_TEST

/* Without the kernel, or without EVENTS, the outcome is not claimed. */
START_TEST(open_outcome)
{
	static const struct poke lacks[][3] = {{VMCS_BAD_SS, LACK(HOST_KERNEL), {0}},
					       {VMCS_BAD_SS, LACK(EVENTS), {0}},
					       {VMCS_BAD_SS, LACK(REGS), {0}}};
	struct judged judged;
	struct vm vm;

	for (size_t i = 0; i < COUNT(lacks); i++) {
		judge(&vm, NULL, lacks[i], &judged);
		ck_assert_int_eq(holds(&judged, RULE_OF(ss_rpl_cs_rpl)), NESTMIG_UNKNOWN);
		ck_assert_uint_ne(nm_rule_missing(&nm_rules[RULE_OF(ss_rpl_cs_rpl)], &judged.ctx),
				  0);
		vm_free(&vm);
	}
}
END_TEST

START_TEST(next_entry_of_l1)
{
	static const struct poke pokes[] = {VMX_IN_L1, VMCS_BAD_SS, {0}};
	const struct nm_rule *rule = &nm_rules[RULE_OF(ss_rpl_cs_rpl)];
	struct judged judged;
	struct vm vm;

	judge(&vm, NULL, pokes, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(ss_rpl_cs_rpl)), NESTMIG_BROKEN);
	ck_assert_int_eq(nm_rule_severity(rule, nm_rule_consequence(rule, &judged.ctx, &vm.order)),
			 NM_SEVERITY_WARNING);
	ck_assert_int_eq(nm_rule_consequence(rule, &judged.ctx, &vm.order),
			 NM_CONSEQUENCE_NEXT_EXIT_33);
	vm_free(&vm);
}
END_TEST

/* ---- Guest memory and fields ----------------------------------------------------------------- */

START_TEST(link_header_is_read)
{
	static const struct poke pokes[] = {
		VMCS(vmcs_link_pointer, GPA_SHADOW), RAM(GPA_SHADOW, VMCS12_REVISION), {0}};
	struct judged judged;
	struct vm vm;

	judge(&vm, NULL, pokes, &judged);
	ck_assert_int_eq(nm_state_load_memory(&vm.state, NULL), NESTMIG_OK);
	ck_assert(nm_vcpu_has(&vm.vcpu, NESTMIG_HAVE(LINK_HEADER)));
	ck_assert_uint_eq(vm.vcpu.view.link_header, VMCS12_REVISION);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(link_revision)), NESTMIG_HOLDS);
	ck_assert_int_eq(holds(&judged, RULE_OF(link_shadow_bit)), NESTMIG_HOLDS);
	put(vm.ram + GPA_SHADOW, 4, 0);
	ck_assert_int_eq(nm_state_load_memory(&vm.state, NULL), NESTMIG_OK);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(link_revision)), NESTMIG_BROKEN);
	/* RAM that is not at hand. */
	put(vm.page + VMCS12_OFFSET_vmcs_link_pointer, 8, RAM_SIZE);
	ck_assert_int_eq(nm_state_load_memory(&vm.state, NULL), NESTMIG_OK);
	ck_assert(!nm_vcpu_has(&vm.vcpu, NESTMIG_HAVE(LINK_HEADER)));
	vm_judge(&vm, &judged);
	ck_assert_int_eq(holds(&judged, RULE_OF(link_revision)), NESTMIG_UNKNOWN);
	vm_free(&vm);
}
END_TEST

/* Every field that a rule on VMX state shows is one that inspect knows. */
START_TEST(fields_are_known)
{
	for (unsigned i = NM_RULES_BEFORE_VMX; i < NESTMIG_RULES; i++) {
		const char *text = nm_rules[i].fields;

		while (*text) {
			size_t length = strcspn(text, " ");
			char name[64] = {0};

			ck_assert_uint_lt(length, sizeof(name));
			memcpy(name, text, length);
			ck_assert_msg(nm_field_find(name), "%s shows %s", nm_rules[i].id, name);
			text += length + strspn(text + length, " ");
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmx-guest");
	TCase *tcase = tcase_create("vmx-guest");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60); /* with sanitizers */
	tcase_add_loop_test(tcase, source, 0, COUNT(sources));
	tcase_add_loop_test(tcase, outcome, 0, COUNT(outcomes));
	tcase_add_test(tcase, pdptes_of_sregs2);
	tcase_add_test(tcase, kvm_finds_no_more_than_rules);
	tcase_add_test(tcase, open_outcome);
	tcase_add_test(tcase, next_entry_of_l1);
	tcase_add_test(tcase, link_header_is_read);
	tcase_add_test(tcase, fields_are_known);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
