// SPDX-License-Identifier: GPL-2.0-or-later
/* Comparing two states. Both are the genuine raw dump; B is changed in memory. */
#include "diff.h"
#include "dump_dir.h"
#include "host.h"
#include "pointed.h"

#define MSR_TSC 0x10

static struct nestmig_state *a, *b;
static struct nm_diff *diff;
static char *text;

static void setup(void)
{
	dump_make();
	a = must_read_dir();
	b = must_read_dir();
	diff = NULL;
	text = NULL;
}

static void teardown(void)
{
	nm_diff_free(diff);
	nestmig_state_free(a);
	nestmig_state_free(b);
	free(text);
	dir_remove();
}

static void compare(void)
{
	nm_diff_free(diff);
	diff = NULL;
	ck_assert_int_eq(nm_diff_new(a, b, a->host, &diff), NESTMIG_OK);
}

/* The only vCPU, which both have. */
static const struct nm_diff_vcpu *only_vcpu(void)
{
	ck_assert_uint_eq(diff->vcpu_count, 1);
	ck_assert_uint_eq(diff->vcpus[0].in, NM_IN_BOTH);
	return &diff->vcpus[0];
}

static const struct nm_diff_value *find(const char *name)
{
	const struct nm_diff_vcpu *vcpu = only_vcpu();

	for (size_t i = 0; i < vcpu->value_count; i++)
		if (strcmp(vcpu->values[i].name, name) == 0)
			return &vcpu->values[i];
	return NULL;
}

/* B's MSR, or NULL. */
static struct nm_msr *msr_of_b(uint32_t index)
{
	for (size_t i = 0; i < b->vcpus[0].msr_count; i++)
		if (b->vcpus[0].msrs[i].index == index)
			return &b->vcpus[0].msrs[i];
	return NULL;
}

static uint8_t *writable(const uint8_t *bytes)
{
	return (uint8_t *)(uintptr_t)bytes;
}

START_TEST(the_same_is_no_difference)
{
	compare();
	ck_assert_uint_eq(diff->differences, 0);
	ck_assert_uint_eq(diff->idle, 0);
	ck_assert(!diff->changes_outcome);
	ck_assert_uint_eq(only_vcpu()->value_count, 0);
	ck_assert_int_eq(nm_diff_text(diff, true, false, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "No difference.\n"));
}
END_TEST

START_TEST(a_field_and_the_rules_that_it_decides)
{
	const struct nm_rule *rule = nm_rule_find("svm-ctl-asid-zero");
	const struct nm_diff_value *value;
	unsigned index;

	ck_assert_ptr_nonnull(rule);
	index = (unsigned)(rule - nm_rules);
	memset(writable(b->vcpus[0].view.vmcb12) + 0x58, 0, 4);
	b->vcpus[0].view.regs.rax ^= 1;
	compare();
	value = find("vmcb12.control.asid");
	ck_assert_ptr_nonnull(value);
	ck_assert(nm_diff_decides(value));
	ck_assert(nm_rule_bit(value->rules, index));
	ck_assert_str_eq(nm_diff_result(only_vcpu(), NM_A, index), "holds");
	ck_assert_str_eq(nm_diff_result(only_vcpu(), NM_B, index), "broken");
	value = find("regs.rax");
	ck_assert_ptr_nonnull(value);
	ck_assert(!nm_diff_decides(value));
	ck_assert_uint_eq(diff->differences, 2);
	ck_assert_uint_ge(diff->rules, 1);
	ck_assert(diff->changes_outcome);
}
END_TEST

START_TEST(every_field_that_can_be_told_is_told)
{
	const struct nm_vcpu *vcpu = &b->vcpus[0];

	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		uint8_t *at = (uint8_t *)&b->vcpus[0].view + field->member;

		if (!nm_field_present(vcpu, field) || field->member == UINT32_MAX)
			continue;
		*at ^= 1;
		compare();
		ck_assert_msg(find(field->name) != NULL, "%s", field->name);
		*at ^= 1;
	}
}
END_TEST

START_TEST(every_byte_of_the_vmcb12_counts)
{
	uint8_t *page = writable(b->vcpus[0].view.vmcb12);
	unsigned without_field = 0;

	for (size_t i = 0; i < KVMNS_VMCB_SIZE; i += 3) {
		page[i] ^= 0x80;
		compare();
		ck_assert_msg(only_vcpu()->value_count == 1, "byte %zu: %zu differences", i,
			      only_vcpu()->value_count);
		if (find("vmcb12")) {
			ck_assert_uint_eq(find("vmcb12")->value[NM_A], 1);
			ck_assert_uint_eq(find("vmcb12")->value[NM_B], i);
			without_field++;
		}
		page[i] ^= 0x80;
	}
	ck_assert_uint_ge(without_field, 1);
}
END_TEST

START_TEST(items_of_one_side)
{
	b->vcpus[0].view.have &= ~(NESTMIG_HAVE(CPUID) | NESTMIG_HAVE(DEBUGREGS));
	compare();
	ck_assert_uint_eq(only_vcpu()->items[NM_A], NESTMIG_HAVE(CPUID) | NESTMIG_HAVE(DEBUGREGS));
	ck_assert_uint_eq(only_vcpu()->items[NM_B], 0);
	ck_assert_uint_eq(only_vcpu()->value_count, 0);
	ck_assert_uint_eq(diff->differences, 2);
}
END_TEST

START_TEST(a_clock_is_no_difference)
{
	struct nm_msr *tsc = msr_of_b(MSR_TSC);

	ck_assert_ptr_nonnull(tsc);
	tsc->value++;
	compare();
	ck_assert_uint_eq(diff->differences, 0);
	ck_assert_uint_eq(diff->idle, 1);
	ck_assert(find("msr.0x00000010")->is_idle);
	ck_assert_int_eq(nm_diff_text(diff, false, false, &text), NESTMIG_OK);
	ck_assert_ptr_null(strstr(text, "msr.0x"));
	ck_assert_ptr_nonnull(strstr(text, "--all"));
}
END_TEST

START_TEST(msrs_of_one_side)
{
	struct nm_msr *tsc = msr_of_b(MSR_TSC);

	tsc->index = 0x4000;
	compare();
	ck_assert_uint_eq(find("msr.0x00000010")->in, NM_IN_A);
	ck_assert_uint_eq(find("msr.0x00004000")->in, NM_IN_B);
	ck_assert_uint_eq(only_vcpu()->value_count, 2);
}
END_TEST

START_TEST(of_an_msr_that_is_there_twice_the_last_counts)
{
	struct nm_msr *msrs = b->vcpus[0].msrs;
	size_t last = b->vcpus[0].msr_count - 1;

	ck_assert_uint_ne(msrs[0].index, msrs[last].index);
	msrs[0].index = msrs[last].index;
	msrs[0].value = ~msrs[last].value;
	compare();
	/* Only that the first is gone. */
	ck_assert_uint_eq(only_vcpu()->value_count, 1);
	ck_assert_uint_eq(only_vcpu()->values[0].in, NM_IN_A);
}
END_TEST

START_TEST(cpuid_by_register)
{
	b->vcpus[0].cpuid[0].ebx ^= 1;
	compare();
	ck_assert_uint_eq(only_vcpu()->value_count, 1);
	ck_assert_uint_eq(only_vcpu()->values[0].kind, NM_DIFF_CPUID);
	/* One side has words only. */
	b->vcpus[0].cpuid_count = 0;
	b->vcpus[0].view.cpuid.word[NESTMIG_CPUID_1_ECX] ^= 4;
	compare();
	ck_assert_uint_eq(only_vcpu()->value_count, 1);
	ck_assert_ptr_nonnull(find("cpuid.1.0.ecx"));
}
END_TEST

START_TEST(vcpus_by_id)
{
	b->vcpus[0].id = 7;
	compare();
	ck_assert_uint_eq(diff->vcpu_count, 2);
	ck_assert_uint_eq(diff->vcpus[0].id, 0);
	ck_assert_uint_eq(diff->vcpus[0].in, NM_IN_A);
	ck_assert_uint_eq(diff->vcpus[1].id, 7);
	ck_assert_uint_eq(diff->vcpus[1].in, NM_IN_B);
	ck_assert_uint_eq(diff->differences, 2);
	ck_assert(diff->changes_outcome);
	ck_assert_int_eq(nm_diff_json(diff, false, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "\"id\":7,\"a\":null,\"b\":{"));
}
END_TEST

START_TEST(memory_by_what_is_ram)
{
	ck_assert_uint_eq(b->extent_count, 2);
	/* The same RAM in other pieces, in another order. */
	b->extents[0] = (struct nm_extent){.gpa = 0x10000, .size = 0x1000};
	b->extents[1] = (struct nm_extent){.gpa = 0x3000, .size = 0x3000};
	ck_assert_int_eq(
		nm_state_add_extent(b, (struct nm_extent){.gpa = 0x1000, .size = 0x2000}, NULL),
		NESTMIG_OK);
	compare();
	ck_assert_uint_eq(diff->general_count, 0);
	b->extents[2].size--;
	compare();
	ck_assert_uint_eq(diff->general_count, 1);
	ck_assert_str_eq(diff->general[0].name, "memory");
	/* To the end of the address space. */
	b->extents[2] = (struct nm_extent){.gpa = UINT64_MAX - 0xfff, .size = 0x1000};
	b->extents[1] = (struct nm_extent){.gpa = UINT64_MAX - 0xff, .size = 0x100};
	compare();
	ck_assert_uint_eq(diff->general_count, 1);
	ck_assert_ptr_nonnull(
		strstr(diff->general[0].text[NM_B], "0xfffffffffffff000-0xffffffffffffffff"));
}
END_TEST

START_TEST(a_rule_alone_makes_a_difference)
{
	/* Who restores it is no value. */
	b->vcpus[0].qemu.present = true;
	b->vcpus[0].view.have &= ~NESTMIG_HAVE(VM_CAPS);
	a->vcpus[0].view.have &= ~NESTMIG_HAVE(VM_CAPS);
	compare();
	ck_assert_uint_eq(only_vcpu()->value_count, 0);
	ck_assert_uint_ge(diff->rules, 1);
	ck_assert_uint_eq(diff->differences, diff->rules);
}
END_TEST

/* ---- What else convert, extract and inspect stand on ------------------------------------------ */

START_TEST(structs_come_back_as_they_were)
{
	struct nm_vcpu again = {0};
	struct nestmig_detail detail = {0};

	for (int kind = 0; kind < NM_KVM_STRUCTS; kind++) {
		struct nm_origin origin = {.layout = NM_LAYOUT_KVM};
		uint8_t *bytes = NULL;
		size_t size = 0;

		ck_assert_int_eq(nm_encode_kvm_new(&a->vcpus[0], kind, &bytes, &size), NESTMIG_OK);
		origin.bytes = bytes;
		origin.size = size;
		if (kind == NM_KVM_SREGS) {
			ck_assert_uint_eq(size, 0);
		} else {
			struct stream file;
			char name[64];

			snprintf(name, sizeof(name), "raw-dump/vcpu0/%s", nm_kvm_struct_name(kind));
			file = read_case(name);
			ck_assert_msg(size == file.size, "%s: %zu", name, size);
			ck_ok(nm_decode_kvm(&again, kind, origin, &detail), detail);
			/* Padding is not kept. */
			if (kind == NM_KVM_CPUID || kind == NM_KVM_MSRS || kind == NM_KVM_REGS)
				ck_assert_mem_eq(bytes, file.p, size);
			stream_free(&file);
		}
		free(bytes);
	}
	ck_assert_uint_eq(again.cpuid_count, a->vcpus[0].cpuid_count);
	ck_assert_uint_eq(again.msr_count, a->vcpus[0].msr_count);
	free(again.cpuid);
	free(again.msrs);
}
END_TEST

START_TEST(lists_are_not_cut)
{
	struct nm_vcpu vcpu = {.msr_count = 1000};
	uint8_t *bytes = NULL;
	size_t size = 0;

	vcpu.msrs = calloc(vcpu.msr_count, sizeof(*vcpu.msrs));
	vcpu.msrs[999].index = 0x1234;
	vcpu.view.have = NESTMIG_HAVE(MSRS);
	ck_assert_int_eq(nm_encode_kvm_new(&vcpu, NM_KVM_MSRS, &bytes, &size), NESTMIG_OK);
	ck_assert_uint_eq(size, 16000);
	ck_assert_uint_eq(bytes[15984], 0x34);
	free(bytes);
	free(vcpu.msrs);
}
END_TEST

START_TEST(what_the_state_points_at)
{
	struct nm_pointed pointed[NM_POINTED_MAX];
	size_t count = nm_vcpu_pointed(a, &a->vcpus[0], pointed);
	bool has_vmcb12 = false;

	for (size_t i = 0; i < count; i++)
		if (strcmp(pointed[i].name, "nested_state.vmcb_pa") == 0) {
			has_vmcb12 = true;
			ck_assert_uint_eq(pointed[i].gpa, a->vcpus[0].view.nested.vmcb_pa);
			ck_assert_int_eq(pointed[i].backed, NESTMIG_BACKED_YES);
			ck_assert(pointed[i].is_at_hand);
		}
	ck_assert(has_vmcb12);
	/* Nobody knows what is there. */
	a->vcpus[0].view.nested.vmcb_pa = UINT64_C(0xfffffffffffff000);
	count = nm_vcpu_pointed(a, &a->vcpus[0], pointed);
	ck_assert_int_eq(pointed[0].backed, NESTMIG_BACKED_UNKNOWN);
	ck_assert(!pointed[0].is_at_hand);
}
END_TEST

START_TEST(pages)
{
	struct stream s = genuine("full1");
	struct nestmig_state *full = NULL;
	uint8_t page[NM_PAGE_SIZE] = {0};
	struct nestmig_detail detail = {0};
	uint64_t gpa;

	write_in_dir("full1.qemu", s.p, s.size);
	ck_ok(nestmig_state_read(in_dir("full1.qemu"), 0, &full, &detail), detail);
	gpa = value_of(full, 0, "nested_state.vmcb_pa");
	ck_ok(nm_state_fetch_page(full, gpa, page, &detail), detail);
	/* intercept_vmrun, which every hypervisor sets. */
	ck_assert(page[0x10] & 1);
	ck_assert_int_eq(nm_state_fetch_page(full, gpa + 1, page, &detail), NESTMIG_ERR_INVALID);
	ck_assert_int_eq(nm_state_fetch_page(a, 0x8000, page, &detail), NESTMIG_ERR_NOT_FOUND);
	a->memory_known = true;
	ck_assert_int_eq(nm_state_fetch_page(a, 0x8000, page, &detail), NESTMIG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(detail.text, "no RAM"));
	ck_ok(nm_state_fetch_page(a, 0x1000, page, &detail), detail);
	nestmig_state_free(full);
	stream_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diff");
	TCase *tcase = tcase_create("diff");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, the_same_is_no_difference);
	tcase_add_test(tcase, a_field_and_the_rules_that_it_decides);
	tcase_add_test(tcase, every_field_that_can_be_told_is_told);
	tcase_add_test(tcase, every_byte_of_the_vmcb12_counts);
	tcase_add_test(tcase, items_of_one_side);
	tcase_add_test(tcase, a_clock_is_no_difference);
	tcase_add_test(tcase, msrs_of_one_side);
	tcase_add_test(tcase, of_an_msr_that_is_there_twice_the_last_counts);
	tcase_add_test(tcase, cpuid_by_register);
	tcase_add_test(tcase, vcpus_by_id);
	tcase_add_test(tcase, memory_by_what_is_ram);
	tcase_add_test(tcase, a_rule_alone_makes_a_difference);
	tcase_add_test(tcase, structs_come_back_as_they_were);
	tcase_add_test(tcase, lists_are_not_cut);
	tcase_add_test(tcase, what_the_state_points_at);
	tcase_add_test(tcase, pages);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
