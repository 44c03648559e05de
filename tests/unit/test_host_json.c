// SPDX-License-Identifier: GPL-2.0-or-later
/* The host profile as JSON: nothing is lost, nothing broken gets in. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "host_parts.h"
#include "host_tree.h"

#define SCHEMA "\"schema\":\"nestmig.host/1\""
#define ENTRY                                                                                      \
	"{\"function\":\"0x80000008\",\"index\":\"0x0\",\"flags\":\"0x1\","                        \
	"\"eax\":\"0x00003030\",\"ebx\":\"0x00000000\",\"ecx\":\"0xffffffff\","                    \
	"\"edx\":\"0x00000004\"}"

static enum nestmig_error parse(const char *text, struct nestmig_host **ret_host,
				struct nestmig_detail *detail)
{
	return nm_host_parse(text, strlen(text), ret_host, detail);
}

/* What is written is read as the same, and written as the same again. */
START_TEST(round_trip)
{
	static const char text[] =
		"{" SCHEMA ",\"vendor\":\"intel\",\"kernel\":\"6.12.8\",\"maxphyaddr\":48,"
		"\"params\":{\"kvm_intel.nested\":\"Y\",\"kvm_intel.ept\":\"N\",\"kvm.x\":\"a "
		"\\\\\\\"b\"},"
		"\"capabilities\":{\"KVM_CAP_NESTED_STATE\":8320,\"KVM_CAP_MAX\":2147483647},"
		"\"msrs\":{\"0x480\":\"0xda040000000004ff\",\"0xffffffff\":\"0x0000000000000000\"},"
		"\"cpuid\":[" ENTRY "],\"facts\":{\"os.id\":\"debian\"},"
		"\"probes\":{\"l2-state\":\"accepted\"},\"changelog\":{\"f85a6ce06e4a\":\"has\"},"
		"\"emulated_cpuid\":[" ENTRY "],\"saved_msrs\":[\"0x10\",\"0xc0000104\"]}\n";
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	char *again = NULL;

	ck_assert_msg(!parse(text, &host, &detail), "%s", detail.text);
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_INTEL);
	ck_assert_uint_eq(host->view.kernel, NESTMIG_KERNEL(6, 12));
	ck_assert_uint_eq(host->msrs[0].value, 0xda040000000004ff);
	ck_assert_uint_eq(host->msrs[1].index, 0xffffffff);
	ck_assert_uint_eq(host->cpuid[0].flags, 1);
	ck_assert_uint_eq(host->cpuid[0].ecx, 0xffffffff);
	ck_assert_uint_eq(host->view.has_nested_state, 1);
	ck_assert_uint_eq(host->emulated_count, 1);
	ck_assert_uint_eq(host->saved_msrs[1], 0xc0000104);
	ck_assert_str_eq(nm_host_get(&host->probes, "l2-state"), "accepted");
	ck_assert(!nestmig_host_json(host, &again));
	ck_assert_str_eq(again, text);
	nestmig_host_free(host);
	free(again);
}
END_TEST

static const struct {
	const char *text;
	uint64_t have;
} partial[] = {
	{"{" SCHEMA "}", 0},
	{"{" SCHEMA ",\"novel\":[[1.5,null,{}]],\"vendor\":\"amd\"}", 0},
	{"{" SCHEMA ",\"kernel\":\"strange\"}", 0},
	{"{" SCHEMA ",\"kernel\":\"6.1\"}", NESTMIG_HAVE(HOST_KERNEL)},
	{"{" SCHEMA ",\"params\":{},\"capabilities\":{},\"msrs\":{},\"cpuid\":[]}", 0},
	{"{" SCHEMA ",\"capabilities\":{\"KVM_CAP_SREGS2\":1}}", 0},
	{"{" SCHEMA ",\"capabilities\":{\"NESTED_STATE\":0}}", NESTMIG_HAVE(HOST_CAPS)},
	{"{" SCHEMA ",\"msrs\":{\"0x480\":\"0x0\"}}", NESTMIG_HAVE(HOST_MSRS)},
	{"{" SCHEMA ",\"cpuid\":[" ENTRY "]}", NESTMIG_HAVE(HOST_CPUID)},
	{"{" SCHEMA ",\"params\":{\"kvm_amd.nested\":\"1\"}}", 0},
	{"{" SCHEMA ",\"params\":{\"kvm_amd.nested\":\"1\",\"kvm_amd.npt\":\"N\"}}",
	 NESTMIG_HAVE(HOST_PARAMS)},
	{"{" SCHEMA ",\"maxphyaddr\":48}", 0},
};

START_TEST(missing_is_unknown)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_msg(!parse(partial[_i].text, &host, &detail), "%s", detail.text);
	ck_assert_uint_eq(host->view.have, partial[_i].have);
	ck_assert_uint_eq(host->view.has_nested_state, 0);
	nestmig_host_free(host);
}
END_TEST

static const struct {
	const char *text;
	enum nestmig_error error;
	const char *says;
} broken[] = {
	{"", NESTMIG_ERR_FORMAT, "line 1"},
	{"{", NESTMIG_ERR_FORMAT, "line 1"},
	{"{\n\"a\":\n!}", NESTMIG_ERR_FORMAT, "line 3"},
	{"[]", NESTMIG_ERR_FORMAT, "object"},
	{"{}", NESTMIG_ERR_FORMAT, "schema"},
	{"{\"schema\":1}", NESTMIG_ERR_FORMAT, "\"schema\" is not a string"},
	{"{\"schema\":\"nestmig.host/2\"}", NESTMIG_ERR_UNSUPPORTED, "nestmig.host/1"},
	{"{\"schema\":\"nestmig.report/1\"}", NESTMIG_ERR_FORMAT, "no host profile"},
	{"{" SCHEMA "} x", NESTMIG_ERR_FORMAT, "line 1"},
	{"{" SCHEMA "," SCHEMA "}", NESTMIG_ERR_FORMAT, "duplicate"},
	{"{" SCHEMA ",\"vendor\":\"via\"}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{" SCHEMA ",\"vendor\":null}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{" SCHEMA ",\"kernel\":6.1}", NESTMIG_ERR_FORMAT, "kernel"},
	{"{" SCHEMA ",\"kernel\":\"\"}", NESTMIG_ERR_FORMAT, "kernel"},
	{"{" SCHEMA ",\"kernel\":\"6.1\\u001b[2J\"}", NESTMIG_ERR_FORMAT, "kernel"},
	{"{" SCHEMA ",\"kernel\":\"6.1\\u0000\"}", NESTMIG_ERR_FORMAT, "line 1"},
	{"{" SCHEMA ",\"maxphyaddr\":\"48\"}", NESTMIG_ERR_FORMAT, "maxphyaddr"},
	{"{" SCHEMA ",\"params\":[]}", NESTMIG_ERR_FORMAT, "params"},
	{"{" SCHEMA ",\"params\":{\"kvm_amd.npt\":1}}", NESTMIG_ERR_FORMAT, "params"},
	{"{" SCHEMA ",\"params\":{\"\":\"1\"}}", NESTMIG_ERR_FORMAT, "parameter"},
	{"{" SCHEMA ",\"params\":{\"a b\":\"1\"}}", NESTMIG_ERR_FORMAT, "parameter"},
	{"{" SCHEMA ",\"params\":{\"a\":\"\\n\"}}", NESTMIG_ERR_FORMAT, "parameter a"},
	{"{" SCHEMA ",\"params\":{\"a\":\"\xc3\xa4\"}}", NESTMIG_ERR_FORMAT, "parameter a"},
	{"{" SCHEMA ",\"params\":{\"a\":\"\xff\"}}", NESTMIG_ERR_FORMAT, "line 1"},
	{"{" SCHEMA ",\"params\":{\"a\":\"1\",\"a\":\"2\"}}", NESTMIG_ERR_FORMAT, "duplicate"},
	{"{" SCHEMA ",\"capabilities\":1}", NESTMIG_ERR_FORMAT, "capabilities"},
	{"{" SCHEMA ",\"capabilities\":{\"KVM_CAP_X\":\"1\"}}", NESTMIG_ERR_FORMAT, "integer"},
	{"{" SCHEMA ",\"capabilities\":{\"KVM_CAP_X\":-1}}", NESTMIG_ERR_FORMAT, "integer"},
	{"{" SCHEMA ",\"capabilities\":{\"KVM_CAP_X\":2147483648}}", NESTMIG_ERR_FORMAT, "integer"},
	{"{" SCHEMA ",\"capabilities\":{\"x\":1}}", NESTMIG_ERR_FORMAT, "capability"},
	{"{" SCHEMA ",\"capabilities\":{\"\":1}}", NESTMIG_ERR_FORMAT, "capability"},
	{"{" SCHEMA ",\"msrs\":[]}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"480\":\"0x0\"}}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"0x\":\"0x0\"}}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"0x123456789\":\"0x0\"}}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"0x480\":0}}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"0x480\":\"0x12345678123456781\"}}", NESTMIG_ERR_FORMAT, "msrs"},
	{"{" SCHEMA ",\"msrs\":{\"0x480\":\"0x1\",\"0x0480\":\"0x1\"}}", NESTMIG_ERR_FORMAT,
	 "twice"},
	{"{" SCHEMA ",\"cpuid\":{}}", NESTMIG_ERR_FORMAT, "cpuid"},
	{"{" SCHEMA ",\"facts\":[]}", NESTMIG_ERR_FORMAT, "facts"},
	{"{" SCHEMA ",\"facts\":{\"os.id\":1}}", NESTMIG_ERR_FORMAT, "facts"},
	{"{" SCHEMA ",\"facts\":{\"os id\":\"x\"}}", NESTMIG_ERR_FORMAT, "name of a fact"},
	{"{" SCHEMA ",\"probes\":{\"l2\":\"\\u001b[2J\"}}", NESTMIG_ERR_FORMAT, "not printable"},
	{"{" SCHEMA ",\"changelog\":{\"\":\"has\"}}", NESTMIG_ERR_FORMAT, "empty"},
	{"{" SCHEMA ",\"saved_msrs\":[16]}", NESTMIG_ERR_FORMAT, "\"saved_msrs\"[0]"},
	{"{" SCHEMA ",\"emulated_cpuid\":[1]}", NESTMIG_ERR_FORMAT, "\"emulated_cpuid\"[0]"},
	{"{" SCHEMA ",\"cpuid\":[1]}", NESTMIG_ERR_FORMAT, "\"cpuid\"[0]"},
	{"{" SCHEMA ",\"cpuid\":[" ENTRY ",{\"function\":\"0x1\"}]}", NESTMIG_ERR_FORMAT,
	 "\"cpuid\"[1] has no \"index\""},
};

START_TEST(broken_text)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(parse(broken[_i].text, &host, &detail), broken[_i].error);
	ck_assert_ptr_null(host);
	ck_assert_msg(strstr(detail.text, broken[_i].says), "\"%s\" not in \"%s\"", broken[_i].says,
		      detail.text);
	ck_assert_int_ne(parse(broken[_i].text, &host, NULL), NESTMIG_OK);
}
END_TEST

START_TEST(error_place)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(parse("{" SCHEMA ",\n  \"kernel\": oops}", &host, &detail),
			 NESTMIG_ERR_FORMAT);
	ck_assert(detail.has_offset);
	ck_assert_uint_ge(detail.offset, strlen("{" SCHEMA ",\n  \"kernel\": "));
	ck_assert_uint_le(detail.offset, strlen("{" SCHEMA ",\n  \"kernel\": oops}"));
	ck_assert_ptr_nonnull(strstr(detail.text, "line 2"));
}
END_TEST

static void expect_limit(const char *text, size_t size)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(nm_host_parse(text, size, &host, &detail), NESTMIG_ERR_LIMIT);
	ck_assert_str_ne(detail.text, "");
	ck_assert_ptr_null(host);
}

START_TEST(limits)
{
	size_t size = 1024 * 1024 + 1, used;
	char *text = malloc(size);

	memset(text, ' ', size);
	expect_limit(text, size);
	memset(text, '[', size);
	expect_limit(text, 100);
	used = (size_t)sprintf(text, "{" SCHEMA ",\"cpuid\":[1");
	for (int i = 0; i < 1024; i++)
		used += (size_t)sprintf(text + used, ",1");
	used += (size_t)sprintf(text + used, "]}");
	expect_limit(text, used);
	used = (size_t)sprintf(text, "{" SCHEMA ",\"msrs\":{");
	for (int i = 0; i < 1025; i++)
		used += (size_t)sprintf(text + used, "%s\"0x%x\":\"0x0\"", i ? "," : "", i);
	used += (size_t)sprintf(text + used, "}}");
	expect_limit(text, used);
	used = (size_t)sprintf(text, "{" SCHEMA ",\"params\":{");
	for (int i = 0; i < 513; i++)
		used += (size_t)sprintf(text + used, "%s\"p%d\":\"\"", i ? "," : "", i);
	used += (size_t)sprintf(text + used, "}}");
	expect_limit(text, used);
	free(text);
}
END_TEST

/* Brackets inside strings do not nest. */
START_TEST(depth_of_strings)
{
	static const char text[] = "{" SCHEMA ",\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"["
				   "\",\"b\":[],\"c\":[[]]}";
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_msg(!parse(text, &host, &detail), "%s", detail.text);
	nestmig_host_free(host);
}
END_TEST

START_TEST(load)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	tree_make();
	tree_text("good.json", "{" SCHEMA ",\"kernel\":\"6.1\"}\n");
	tree_text("bad.json", "{");
	ck_assert_msg(!nestmig_host_load(tree_path("good.json"), &host, &detail), "%s",
		      detail.text);
	ck_assert_str_eq(host->kernel, "6.1");
	nestmig_host_free(host);
	host = NULL;
	ck_assert_int_eq(symlink("good.json", tree_path("link.json")), 0);
	ck_assert(!nestmig_host_load(tree_path("link.json"), &host, &detail));
	nestmig_host_free(host);
	ck_assert_int_eq(nestmig_host_load(tree_path("bad.json"), &host, &detail),
			 NESTMIG_ERR_FORMAT);
	ck_assert_int_eq(nestmig_host_load(tree_path("none.json"), &host, &detail), NESTMIG_ERR_IO);
	ck_assert_int_ne(detail.sys_errno, 0);
	ck_assert_int_eq(nestmig_host_load(tree_root, &host, &detail), NESTMIG_ERR_FORMAT);
	ck_assert_int_eq(mkfifo(tree_path("fifo"), 0600), 0);
	ck_assert_int_eq(nestmig_host_load(tree_path("fifo"), &host, &detail), NESTMIG_ERR_FORMAT);
	ck_assert_int_eq(truncate(tree_path("good.json"), 1024 * 1024 + 1), 0);
	ck_assert_int_eq(nestmig_host_load(tree_path("good.json"), &host, &detail),
			 NESTMIG_ERR_LIMIT);
	tree_remove();
}
END_TEST

#define add_rows(tc, test, list)                                                                   \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(list) / sizeof((list)[0])))

int main(void)
{
	Suite *suite = suite_create("host-json");
	TCase *tc = tcase_create("json");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, round_trip);
	add_rows(tc, missing_is_unknown, partial);
	add_rows(tc, broken_text, broken);
	tcase_add_test(tc, error_place);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, depth_of_strings);
	tcase_add_test(tc, load);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
