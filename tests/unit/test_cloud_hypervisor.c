// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cloud-hypervisor snapshots, of our own making (cases/cloud-hypervisor): what is read of them is what the
 * genuine raw dumps hold that they were made from.
 */
#include "cloud_hypervisor.h"

#include "cloud_hypervisor_json.h"
#include "dump_dir.h"

static struct stream text; /* state.json of the case at hand, with a NUL behind it */

static void load(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "cloud-hypervisor/%s/state.json.zst", name);
	stream_free(&text);
	text = read_case(path);
	put_fill(&text, 0, 1);
}

static void load_svm(void)
{
	dir_make();
	load("svm");
}

static void unload(void)
{
	stream_free(&text);
	dir_remove();
}

/* Replaces the first occurrence of a text by another. In the text of a vCPU quotes stand as \". */
static void edit(const char *from, const char *to)
{
	char *at = strstr((char *)text.p, from);

	ck_assert_msg(at != NULL, "%s is not there", from);
	replace(&text, (size_t)(at - (char *)text.p), strlen(from), to, strlen(to));
}

/* Replaces what stands from one text on, with it, up to another. */
static void edit_up_to(const char *from, const char *end, const char *to)
{
	char *at = strstr((char *)text.p, from), *stop;

	ck_assert_msg(at != NULL, "%s is not there", from);
	stop = strstr(at, end);
	ck_assert_msg(stop != NULL, "%s is not behind %s", end, from);
	replace(&text, (size_t)(at - (char *)text.p), (size_t)(stop - at), to, strlen(to));
}

static enum nestmig_error read_text(struct nestmig_state **ret_state, struct nestmig_detail *detail)
{
	enum nestmig_error error;

	ck_assert_int_eq(nm_state_new("test", NULL, ret_state, detail), NESTMIG_OK);
	error = nm_chv_read_text(*ret_state, (const char *)text.p, text.size - 1, detail);
	return error ? error : nm_state_load_memory(*ret_state, detail);
}

static struct nestmig_state *must_read_text(void)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(read_text(&state, &detail), detail);
	return state;
}

static void text_refused(enum nestmig_error error, const char *says)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error is = read_text(&state, &detail);

	ck_assert_msg(is == error, "%s instead of %s: %s", nestmig_error_name(is),
		      nestmig_error_name(error), detail.text);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
	nestmig_state_free(state);
}

/* ---- What is read ---------------------------------------------------------------------------- */

/* The case as a directory, with its memory. */
static struct nestmig_state *read_case_dir(const char *name)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	struct stream s;
	char path[128];

	load(name);
	write_in_dir("state.json", text.p, text.size - 1);
	snprintf(path, sizeof(path), "cloud-hypervisor/%s/memory-ranges.zst", name);
	s = read_case(path);
	write_in_dir("memory-ranges", s.p, s.size);
	stream_free(&s);
	snprintf(path, sizeof(path), "cloud-hypervisor/%s/config.json", name);
	s = read_case(path);
	write_in_dir("config.json", s.p, s.size);
	stream_free(&s);
	ck_ok(read_dir(&state, &detail), detail);
	return state;
}

static struct nestmig_state *read_dump(const char *name)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	char path[512];

	snprintf(path, sizeof(path), "%s/cases/%s", TESTS_DIR, name);
	ck_ok(nestmig_state_read(path, 0, &state, &detail), detail);
	return state;
}

static const struct {
	const char *name, *dump;
	enum nestmig_vendor vendor;
	enum nestmig_item page;
	uint64_t gpa; /* of guest memory */
} cases[] = {
	{"svm", "raw-dump", NESTMIG_VENDOR_AMD, NESTMIG_ITEM_VMCB12, 0x10000},
	{"vmx", "raw-dump-vmx", NESTMIG_VENDOR_INTEL, NESTMIG_ITEM_VMCS12, 0x5000},
};

#define same(member) ck_assert_mem_eq(&a->view.member, &b->view.member, sizeof(a->view.member))

START_TEST(a_snapshot_holds_what_its_dump_does)
{
	struct nestmig_state *state = read_case_dir(cases[_i].name);
	struct nestmig_state *dump = read_dump(cases[_i].dump);
	const struct nm_vcpu *a = &state->vcpus[0], *b = &dump->vcpus[0];
	uint8_t bytes[4096];

	ck_assert_str_eq(nestmig_state_format(state), "cloud-hypervisor");
	ck_assert_uint_eq(state->vcpu_count, 1);
	ck_assert_int_eq(state->vendor, cases[_i].vendor);
	same(nested);
	same(sregs.cs);
	same(sregs.cr0);
	same(sregs.efer);
	same(regs);
	same(mp_state);
	same(cpuid);
	same(hsave_pa);
	ck_assert_uint_eq(a->msr_count, b->msr_count);
	ck_assert_mem_eq(a->msrs, b->msrs, a->msr_count * sizeof(*a->msrs));
	ck_assert_uint_eq(a->cpuid_count, b->cpuid_count);
	ck_assert_mem_eq(a->origin[cases[_i].page].bytes, b->origin[cases[_i].page].bytes, 4096);
	ck_assert_uint_eq(a->view.debugregs.dr7, 0x400);
	ck_assert_uint_eq(a->view.vm_caps, NESTMIG_VM_IRQCHIP);
	ck_assert_str_eq(state->restore_order + strlen(state->restore_order) - 16,
			 "MSRS,VCPU_EVENTS");
	ck_assert(state->memory_known);
	ck_assert_int_eq(nm_state_backed(state, cases[_i].gpa, 4096), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, UINT64_C(1) << 40, 1), NESTMIG_BACKED_NO);
	ck_assert_int_eq(nm_state_read_memory(state, cases[_i].gpa, bytes, 4096), NESTMIG_OK);
	ck_assert_uint_eq(nm_le(bytes, 8) != 0, 1);
	nestmig_state_free(state);
	nestmig_state_free(dump);
}
END_TEST

/* What KVM will refuse in VMX operation is not what rules go by; before VMXON it is. */
START_TEST(late_msrs_count_only_outside_vmx_operation)
{
	struct nestmig_state *state;

	load("vmx");
	state = must_read_text();
	ck_assert_uint_eq(state->vcpus[0].view.vmx.have, 0);
	ck_assert_ptr_nonnull(strstr(state->remark, "VMX capability MSRs"));
	nestmig_state_free(state);
	/* The format, the size 4224, padding; then vmxon_pa. */
	edit("\\\"nested_state\\\":[1,0,0,0,128,16,0,0,0,96,0,0,0,0,0,0",
	     "\\\"nested_state\\\":[0,0,0,0,128,16,0,0,255,255,255,255,255,255,255,255");
	state = must_read_text();
	ck_assert_uint_ne(state->vcpus[0].view.vmx.have, 0);
	nestmig_state_free(state);
}
END_TEST

START_TEST(all_vcpus_are_read_in_order)
{
	struct nestmig_state *state;
	char *from = strstr((char *)text.p, "\"0\":{"),
	     *end = strstr(from, "},\"snapshot_data\":null");
	struct stream vcpu = {0}, all = {0};

	put(&vcpu, from + 3, (size_t)(end - from) - 3);
	for (unsigned i = 0; i < 12; i++) {
		char name[16];
		/* The order of texts, as serde_json has it: 0, 1, 10, 11, 2. */
		static const unsigned order[] = {0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9};

		snprintf(name, sizeof(name), "%s\"%u\"", i ? "," : "", order[i]);
		put(&all, name, strlen(name));
		put(&all, vcpu.p, vcpu.size);
	}
	replace(&text, (size_t)(from - (char *)text.p), (size_t)(end - from), all.p, all.size);
	state = must_read_text();
	ck_assert_uint_eq(state->vcpu_count, 12);
	for (unsigned i = 0; i < 12; i++)
		ck_assert_uint_eq(state->vcpus[i].id, i);
	ck_assert(nm_vcpu_has(&state->vcpus[11], NESTMIG_HAVE(VMCB12)));
	nestmig_state_free(state);
	stream_free(&vcpu);
	stream_free(&all);
}
END_TEST

/* ---- Old versions ---------------------------------------------------------------------------- */

/* SVME of EFER, the byte at 265 of struct kvm_sregs. */
static void svme_off(void)
{
	char *at = strstr((char *)text.p, "\\\"sregs\\\":[");

	ck_assert_ptr_nonnull(at);
	at += strlen("\\\"sregs\\\":[");
	for (unsigned commas = 0; commas < 265; at++)
		commas += *at == ',';
	/* 0x15: LME, LMA, SVME; becomes 05. */
	ck_assert_int_eq(strncmp(at, "21,", 3), 0);
	at[0] = ' ';
	at[1] = '5';
}

static enum nestmig_verdict judge(const struct nestmig_state *state, char **ret_text)
{
	struct nestmig_report *report = NULL;
	enum nestmig_verdict verdict;

	ck_assert_int_eq(nestmig_judge(state, NULL, &report), NESTMIG_OK);
	verdict = nestmig_report_verdict(report);
	ck_assert_int_eq(nestmig_report_text(report, "f", false, ret_text), NESTMIG_OK);
	nestmig_report_free(report);
	return verdict;
}

/* What is in SMM: flags and smm.smm of struct kvm_vcpu_events. */
#define IN_SMM                                                                                     \
	"\\\"vcpu_events\\\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,8,0,0,0,1,0,0,0,0,0,0,0,0,"  \
	"0,"                                                                                       \
	"0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"

static void nested_state_is(const char *text_of_it)
{
	edit_up_to(",\\\"nested_state\\\":[", ",\\\"hyperv", text_of_it);
}

#define IS_NULL ",\\\"nested_state\\\":null"

/* The nested state is not known, and the remark says why. */
static void check_lost(const char *why)
{
	struct nestmig_state *state = must_read_text();
	char *report;

	ck_assert(!nm_vcpu_has(&state->vcpus[0], NESTMIG_HAVE(NESTED)));
	ck_assert(!state->vcpus[0].is_not_nested);
	ck_assert_int_eq(judge(state, &report), NESTMIG_VERDICT_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(report, why));
	ck_assert_ptr_nonnull(strstr(report, "rules need nested_state"));
	free(report);
	nestmig_state_free(state);
}

/* The vCPU is that of a guest without one of its own; the remark has a text or has it not. */
static void check_not_nested(const char *remark, bool is_there)
{
	struct nestmig_state *state = must_read_text();
	char *report;

	ck_assert(state->vcpus[0].is_not_nested);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L1");
	judge(state, &report);
	ck_assert_ptr_null(strstr(report, "rules need nested_state"));
	ck_assert_int_eq(strstr(report, remark) != NULL, is_there);
	free(report);
	nestmig_state_free(state);
}

/* Before version 49 there is no field. */
START_TEST(what_an_old_version_lost_is_never_ok)
{
	nested_state_is("");
	check_lost("cloud-hypervisor before version 49");
	/* With SVM off there was no nested guest: its registers are those of L1. */
	svme_off();
	check_not_nested("before version 49", false);
	/* In SMM both are off, and show nothing. */
	edit_up_to("\\\"vcpu_events\\\":[", "]", IN_SMM);
	check_lost("cloud-hypervisor before version 49");
}
END_TEST

/* null: KVM gave a header alone, so there is no L2. */
START_TEST(null_is_no_inner_guest)
{
	nested_state_is(IS_NULL);
	check_not_nested("does not save GIF", true);
	svme_off();
	check_not_nested("GIF", false);
	edit_up_to("\\\"vcpu_events\\\":[", "]", IN_SMM);
	check_lost("A vCPU is in SMM");
}
END_TEST

/* VMXON without a current VMCS is in the header alone, which is not in the file. */
START_TEST(lost_vmx_operation_is_never_ok)
{
	load("vmx");
	nested_state_is(IS_NULL);
	check_lost("its next VMX instruction gets #UD");
}
END_TEST

/* ---- What is refused ------------------------------------------------------------------------- */

static const struct {
	const char *from, *end, *to; /* end NULL: from alone is replaced */
	enum nestmig_error error;
	const char *says;
} refused[] = {
	{"{", NULL, "[", NESTMIG_ERR_FORMAT, "state.json, line 1"},
	{"\"snapshots\"", NULL, "\"id\"", NESTMIG_ERR_FORMAT, "no \"snapshots\""},
	{"cpu-manager", NULL, "cpu", NESTMIG_ERR_FORMAT, "no vCPU"},
	{"\"0\":", NULL, "\"00\":", NESTMIG_ERR_FORMAT, "no vCPU"},
	{"\"0\":", NULL, "\"65536\":", NESTMIG_ERR_FORMAT, "no vCPU"},
	{"\"0\":", NULL, "\"-1\":", NESTMIG_ERR_FORMAT, "no vCPU"},
	{"\"0\":", NULL, "\"\":", NESTMIG_ERR_FORMAT, "no vCPU"},
	{"\"0\":", NULL, "\"0\":{},\"0\":", NESTMIG_ERR_FORMAT, "duplicate"},
	{"\"0\":", NULL, "\"1\":{},\"0\":", NESTMIG_ERR_UNSUPPORTED, "before version 49"},
	{"\"state\":", NULL, "\"section\":", NESTMIG_ERR_UNSUPPORTED, "before version 49"},
	{"\\\"Kvm", NULL, "\\\"Mshv", NESTMIG_ERR_UNSUPPORTED, "vCPU 0: the VM ran on Microsoft's"},
	{"\\\"Kvm", NULL, "\\\"Hvf", NESTMIG_ERR_UNSUPPORTED, "vCPU 0: there is no \"Kvm\""},
	{"\\\"regs\\\":[", "]", "\\\"regs\\\":[1", NESTMIG_ERR_FORMAT, "regs is no array of 144"},
	{"\\\"regs\\\":[", "]", "\\\"regs\\\":[300", NESTMIG_ERR_FORMAT, "regs is no array"},
	{"\\\"regs\\\":", NULL, "\\\"rags\\\":", NESTMIG_ERR_FORMAT, "regs is no array of 144"},
	{"\\\"sregs\\\":[", "],", "\\\"sregs\\\":[{\\\"cs\\\":1}", NESTMIG_ERR_FORMAT,
	 "sregs is no"},
	{"\\\"sregs\\\":[", ",\\\"fpu", "\\\"sregs\\\":{}", NESTMIG_ERR_UNSUPPORTED, "by name"},
	{"\\\"mp_state\\\":[", NULL, "\\\"mp_state\\\":[-1,", NESTMIG_ERR_FORMAT, "mp_state"},
	{"\\\"mp_state\\\":[", NULL, "\\\"mp_state\\\":[0.5,", NESTMIG_ERR_FORMAT, "mp_state"},
	{"\\\"cpuid\\\":[", NULL, "\\\"cpuid\\\":[{},", NESTMIG_ERR_FORMAT, "cpuid: entry 0"},
	{"\\\"cpuid\\\":[", NULL, "\\\"cpuid\\\":7,\\\"c\\\":[", NESTMIG_ERR_FORMAT, "cpuid is no"},
	{"\\\"eax\\\":", NULL, "\\\"eax\\\":4294967296,\\\"e\\\":", NESTMIG_ERR_FORMAT, "entry 0"},
	{"\\\"data\\\":", NULL, "\\\"data\\\":18446744073709551616,\\\"d\\\":", NESTMIG_ERR_FORMAT,
	 "msrs: entry 0"},
	{"\\\"data\\\":", NULL, "\\\"data\\\":\\\"1\\\",\\\"d\\\":", NESTMIG_ERR_FORMAT,
	 "msrs: entry 0"},
	{"\\\"nested_state\\\":[", "]", "\\\"nested_state\\\":[1,2", NESTMIG_ERR_FORMAT,
	 "nested_state is no array"},
	{"\\\"nested_state\\\":[", NULL, "\\\"nested_state\\\":[256,", NESTMIG_ERR_FORMAT,
	 "no bytes"},
	{"\\\"nested_state\\\":[", NULL, "\\\"nested_state\\\":[0,0,0,0,255,255,",
	 NESTMIG_ERR_TRUNCATED, "nested_state is said to have"},
	{"\\\"nested_state\\\":", NULL,
	 "\\\"nested_state\\\":null,\\\"nested_state\\\":", NESTMIG_ERR_FORMAT, "duplicate"},
	{"\\\"gpa\\\":", NULL, "\\\"gpa\\\":-", NESTMIG_ERR_FORMAT, "range of memory"},
	{"\\\"length\\\":", NULL, "\\\"size\\\":", NESTMIG_ERR_FORMAT, "range of memory"},
	{"\\\"length\\\":", NULL, "\\\"length\\\":18446744073709551615,\\\"l\\\":",
	 NESTMIG_ERR_FORMAT, "past the end of the address space"},
};

START_TEST(what_is_wrong_is_named)
{
	if (refused[_i].end)
		edit_up_to(refused[_i].from, refused[_i].end, refused[_i].to);
	else
		edit(refused[_i].from, refused[_i].to);
	text_refused(refused[_i].error, refused[_i].says);
}
END_TEST

START_TEST(every_truncation_is_found)
{
	size_t whole = text.size - 2; /* without the newline */

	for (size_t size = 0; size < whole; size += whole - size < 300 ? 1 : 101) {
		struct nestmig_state *state = NULL;
		struct nestmig_detail detail = {0};
		char *cut = malloc(size + 1);

		memcpy(cut, text.p, size);
		ck_assert_int_eq(nm_state_new("test", NULL, &state, &detail), NESTMIG_OK);
		ck_assert_int_eq(nm_chv_read_text(state, cut, size, &detail), NESTMIG_ERR_FORMAT);
		nestmig_state_free(state);
		free(cut);
	}
}
END_TEST

/* Values cost more memory than they have bytes of text, and depth costs stack. */
START_TEST(bombs_end_with_an_error)
{
	struct stream s = {0};
	json_t *json = NULL;
	struct nestmig_detail detail = {0};

	put_fill(&s, '[', 1);
	for (unsigned i = 0; i < 1000; i++)
		put(&s, "1,", 2);
	put(&s, "1]", 2);
	ck_assert_int_eq(chv_parse((char *)s.p, s.size, 1000, "x", &json, &detail),
			 NESTMIG_ERR_LIMIT);
	ck_ok(chv_parse((char *)s.p, s.size, 1002, "x", &json, &detail), detail);
	json_decref(json);
	s.size = 0;
	put_fill(&s, '[', 100000);
	ck_assert_int_eq(chv_parse((char *)s.p, s.size, 1 << 20, "x", &json, &detail),
			 NESTMIG_ERR_FORMAT);
	stream_free(&s);
}
END_TEST

START_TEST(numbers_are_those_of_serde_json)
{
	static const char numbers[] = "[18446744073709551615,9223372036854775807,1,1e3,-1,"
				      "\"18446744073709551615\",0.1234567890123456789]";
	static const uint64_t expected[] = {UINT64_MAX, INT64_MAX, 1};
	struct nestmig_detail detail = {0};
	json_t *json = NULL;
	uint64_t value = 0;

	ck_ok(chv_parse(numbers, sizeof(numbers) - 1, 100, "x", &json, &detail), detail);
	for (size_t i = 0; i < 3; i++) {
		ck_assert(chv_number(json_array_get(json, i), UINT64_MAX, &value));
		ck_assert_uint_eq(value, expected[i]);
	}
	ck_assert(!chv_number(json_array_get(json, 0), UINT64_MAX - 1, &value));
	for (size_t i = 3; i < 7; i++)
		if (i != 5)
			ck_assert(!chv_number(json_array_get(json, i), UINT64_MAX, &value));
	json_decref(json);
}
END_TEST

/* ---- Files ----------------------------------------------------------------------------------- */

START_TEST(files_beside_it_are_checked)
{
	struct nestmig_state *state = read_case_dir("svm");
	struct nestmig_detail detail = {0};
	uint8_t page[4096] = {0};

	nestmig_state_free(state);
	state = NULL;
	write_in_dir("memory-ranges", page, sizeof(page));
	refuse_path(dir, NESTMIG_ERR_TRUNCATED, "memory-ranges has 4096 bytes");
	write_in_dir("memory-ranges", page, 0);
	refuse_path(dir, NESTMIG_ERR_TRUNCATED, "memory-ranges");
	ck_assert_int_eq(truncate(in_dir("memory-ranges"), 24577), 0);
	refuse_path(dir, NESTMIG_ERR_FORMAT,
		    "24577 bytes, but the ranges in state.json take 24576");
	/* Without it, RAM is known, its content is not. */
	ck_assert_int_eq(unlink(in_dir("memory-ranges")), 0);
	write_text("config.json", "{\"pmem\":[{\"file\":\"x\"}]}");
	ck_ok(read_dir(&state, &detail), detail);
	ck_assert(!state->memory_known);
	ck_assert_int_eq(nm_state_backed(state, 0x1000, 4096), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1000, page, 1), NESTMIG_ERR_NOT_FOUND);
	nestmig_state_free(state);
	state = NULL;
	write_text("config.json", "{");
	refuse_path(dir, NESTMIG_ERR_FORMAT, "config.json, line 1");
	ck_assert_int_eq(unlink(in_dir("config.json")), 0);
	ck_ok(read_dir(&state, &detail), detail);
	ck_assert(!state->memory_known);
	nestmig_state_free(state);
	/* With a meta.json it is a raw dump. */
	write_text("meta.json", "{}");
	refuse_path(dir, NESTMIG_ERR_FORMAT, "meta.json");
	ck_assert_int_eq(unlink(in_dir("meta.json")), 0);
	ck_assert_int_eq(rename(in_dir("state.json"), in_dir("kept")), 0);
	ck_assert_int_eq(symlink("kept", in_dir("state.json")), 0);
	refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, "state.json is a symbolic link");
	ck_assert_int_eq(rename(in_dir("kept"), in_dir("state.json")), 0);
	ck_assert_int_eq(truncate(in_dir("state.json"), (64 << 20) + 1), 0);
	refuse_path(dir, NESTMIG_ERR_LIMIT, "state.json has 67108865 bytes");
	ck_assert_int_eq(nestmig_state_read_named(dir, 0, "x", &state, &detail),
			 NESTMIG_ERR_INVALID);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cloud-hypervisor");
	TCase *tcase = tcase_create("cloud-hypervisor");

	tcase_add_checked_fixture(tcase, load_svm, unload);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, a_snapshot_holds_what_its_dump_does, 0, 2);
	tcase_add_test(tcase, late_msrs_count_only_outside_vmx_operation);
	tcase_add_test(tcase, all_vcpus_are_read_in_order);
	tcase_add_test(tcase, what_an_old_version_lost_is_never_ok);
	tcase_add_test(tcase, null_is_no_inner_guest);
	tcase_add_test(tcase, lost_vmx_operation_is_never_ok);
	tcase_add_loop_test(tcase, what_is_wrong_is_named, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tcase, every_truncation_is_found);
	tcase_add_test(tcase, bombs_end_with_an_error);
	tcase_add_test(tcase, numbers_are_those_of_serde_json);
	tcase_add_test(tcase, files_beside_it_are_checked);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
