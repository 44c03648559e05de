// SPDX-License-Identifier: GPL-2.0-or-later
/* The host profile from directory trees: captured ones, made ones and broken ones. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "host_tree.h"

#define AMD_PARAMS   "sys/module/kvm_amd/parameters/"
#define INTEL_PARAMS "sys/module/kvm_intel/parameters/"

static void setup(void)
{
	tree_make();
}

static void teardown(void)
{
	tree_remove();
}

static struct nestmig_host *read_tree(void)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_msg(!nestmig_host_tree(tree_root, &host, &detail), "%s", detail.text);
	return host;
}

/* The tree is refused, and the message has a name in it. */
static void expect_error(enum nestmig_error error, const char *says, uint64_t offset)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(nestmig_host_tree(tree_root, &host, &detail), error);
	ck_assert_ptr_null(host);
	ck_assert_msg(strstr(detail.text, says), "\"%s\" not in \"%s\"", says, detail.text);
	ck_assert_uint_eq(detail.has_offset ? detail.offset : UINT64_MAX, offset);
}

START_TEST(amd)
{
	uint8_t cpuid[80], msrs[32];
	struct nestmig_host *host;

	put_cpuid(cpuid, 0x80000008, 0x3030, 0, 0, 0);
	put_cpuid(cpuid + 40, 0x8000000a, 1, 0x8000, 0, 0x1);
	put_msr_entry(msrs, 0xc0011029, 2);
	put_msr_entry(msrs + 16, 0x10a, 0x8000000000000001);
	tree_text("proc/sys/kernel/osrelease", "6.1.0-37-amd64\n");
	tree_text(AMD_PARAMS "npt", "Y\n");
	tree_text(AMD_PARAMS "nested", "1\n");
	tree_text(AMD_PARAMS "vls", "0");
	tree_text("sys/module/kvm/parameters/tdp_mmu", "N\n");
	tree_text("kvm/capabilities", "# comment\nKVM_CAP_NESTED_STATE 4224\n\nSREGS2\t 1\n");
	tree_bytes("kvm/supported_cpuid", cpuid, sizeof(cpuid));
	tree_bytes("kvm/feature_msrs", msrs, sizeof(msrs));
	host = read_tree();
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_AMD);
	ck_assert_uint_eq(host->view.kernel, NESTMIG_KERNEL(6, 1));
	ck_assert_uint_eq(host->view.nested, 1);
	ck_assert_uint_eq(host->view.npt, 1);
	ck_assert_uint_eq(host->view.has_nested_state, 1);
	ck_assert_uint_eq(host->param_count, 4);
	ck_assert_str_eq(host->params[0].name, "kvm.tdp_mmu");
	ck_assert_str_eq(host->params[1].name, "kvm_amd.nested");
	ck_assert_str_eq(host->caps[1].name, "KVM_CAP_SREGS2");
	ck_assert_uint_eq(host->cpuid_count, 2);
	ck_assert_uint_eq(host->cpuid[1].ebx, 0x8000);
	ck_assert_uint_eq(host->msrs[1].value, 0x8000000000000001);
	ck_assert_uint_eq(host->view.have, NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) |
						   NESTMIG_HAVE(HOST_CPUID) |
						   NESTMIG_HAVE(HOST_CAPS) |
						   NESTMIG_HAVE(HOST_MSRS));
	nestmig_host_free(host);
}
END_TEST

START_TEST(intel)
{
	struct nestmig_host *host;

	tree_text("proc/version", "Linux version 6.12.8 (user@build) (gcc) #1 SMP\n");
	tree_text(INTEL_PARAMS "nested", "Y\n");
	tree_text(INTEL_PARAMS "ept", "Y\n");
	tree_text(INTEL_PARAMS "unrestricted_guest", "N\n");
	host = read_tree();
	ck_assert_str_eq(host->kernel, "6.12.8");
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_INTEL);
	ck_assert_uint_eq(host->view.ept, 1);
	ck_assert_uint_eq(host->view.unrestricted_guest, 0);
	ck_assert_uint_eq(host->view.have, NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS));
	nestmig_host_free(host);
}
END_TEST

START_TEST(nothing_is_unknown)
{
	struct nestmig_host *host;

	tree_text("proc/uptime", "1 1\n");
	host = read_tree();
	ck_assert_uint_eq(host->view.have, 0);
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_UNKNOWN);
	ck_assert_ptr_null(host->kernel);
	nestmig_host_free(host);
}
END_TEST

START_TEST(empty_arrays_are_unknown)
{
	struct nestmig_host *host;

	tree_text("kvm/supported_cpuid", "");
	tree_text("kvm/feature_msrs", "");
	tree_text("kvm/capabilities", "");
	host = read_tree();
	ck_assert_uint_eq(host->view.have, 0);
	nestmig_host_free(host);
}
END_TEST

static const struct {
	const char *cpuinfo;
	bool amd_module, intel_module;
	enum nestmig_vendor vendor;
} vendors[] = {
	{"processor\t: 0\nvendor_id\t: AuthenticAMD\n", false, false, NESTMIG_VENDOR_AMD},
	{"processor\t: 0\nvendor_id\t: GenuineIntel\n", false, false, NESTMIG_VENDOR_INTEL},
	{"vendor_id\t:   Shanghai  \n", false, false, NESTMIG_VENDOR_INTEL},
	{"processor\t: 0\nvendor_id\t: Elsewhere\n", false, false, NESTMIG_VENDOR_UNKNOWN},
	{"processor\t: 0\nvendor_id\n", false, false, NESTMIG_VENDOR_UNKNOWN},
	{"vendor_id:", false, false, NESTMIG_VENDOR_UNKNOWN},
	{"", false, false, NESTMIG_VENDOR_UNKNOWN},
	/* A module that is there speaks first; two of them, when both are built in, say nothing. */
	{"vendor_id\t: GenuineIntel\n", true, false, NESTMIG_VENDOR_AMD},
	{"vendor_id\t: GenuineIntel\n", true, true, NESTMIG_VENDOR_INTEL},
	{"vendor_id\t: AuthenticAMD\n", true, true, NESTMIG_VENDOR_AMD},
};

START_TEST(vendor)
{
	struct nestmig_host *host;

	tree_text("proc/cpuinfo", vendors[_i].cpuinfo);
	if (vendors[_i].amd_module)
		tree_text(AMD_PARAMS "nested", "1\n");
	if (vendors[_i].intel_module)
		tree_text(INTEL_PARAMS "nested", "Y\n");
	host = read_tree();
	ck_assert_int_eq(host->view.vendor, vendors[_i].vendor);
	nestmig_host_free(host);
}
END_TEST

/* /proc/cpuinfo of a large machine is far longer than what is read of it. */
START_TEST(long_cpuinfo)
{
	static char text[300000];
	struct nestmig_host *host;

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "vendor_id\t: AuthenticAMD\n", 25);
	tree_text("proc/cpuinfo", text);
	host = read_tree();
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_AMD);
	nestmig_host_free(host);
}
END_TEST

/* One broken file in an otherwise empty tree. */
static const struct {
	const char *name, *text;
	size_t size; /* 0: that of the text */
	enum nestmig_error error;
	uint64_t offset;
} broken[] = {
	{"proc/sys/kernel/osrelease", "6.1\x1b[2J\n", 0, NESTMIG_ERR_FORMAT, 3},
	{"proc/sys/kernel/osrelease", "6.1\nmore\n", 0, NESTMIG_ERR_FORMAT, 3},
	{"proc/version", "FreeBSD\n", 0, NESTMIG_ERR_FORMAT, 0},
	{AMD_PARAMS "npt", "Y\n\n", 0, NESTMIG_ERR_FORMAT, 1},
	{AMD_PARAMS "npt", "\xff\n", 0, NESTMIG_ERR_FORMAT, 0},
	{AMD_PARAMS "npt", "Y\0\n", 3, NESTMIG_ERR_FORMAT, 1},
	{"kvm/supported_cpuid", "short", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/supported_cpuid", "12345678901234567890123456789012345678901", 0, NESTMIG_ERR_FORMAT,
	 40},
	{"kvm/feature_msrs", "12345678901234567", 0, NESTMIG_ERR_FORMAT, 16},
	{"kvm/capabilities", "KVM_CAP_SREGS2 1\nKVM_CAP_X\n", 0, NESTMIG_ERR_FORMAT, 17},
	{"kvm/capabilities", "KVM_CAP_X yes\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "KVM_CAP_X -1\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "KVM_CAP_X 2147483648\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "KVM_CAP_X 99999999999999999999\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "KVM_CAP_X 1 2\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", " 1\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "x\x1b 1\n", 0, NESTMIG_ERR_FORMAT, 0},
	{"kvm/capabilities", "A 1\nB\0 1\n", 9, NESTMIG_ERR_FORMAT, 5},
};

START_TEST(broken_file)
{
	size_t size = broken[_i].size ? broken[_i].size : strlen(broken[_i].text);

	tree_bytes(broken[_i].name, broken[_i].text, size);
	expect_error(broken[_i].error, broken[_i].name, broken[_i].offset);
}
END_TEST

static const struct {
	const char *name;
	size_t limit;
} long_files[] = {
	{"proc/sys/kernel/osrelease", 129},
	{"proc/version", 4097},
	{AMD_PARAMS "npt", 257},
	{"kvm/supported_cpuid", 40 * 1024},
	{"kvm/feature_msrs", 16 * 1024},
	{"kvm/capabilities", 64 * 1024},
};

START_TEST(too_long)
{
	tree_text(long_files[_i].name, "");
	ck_assert_int_eq(truncate(tree_path(long_files[_i].name), 1L << 30), 0);
	expect_error(NESTMIG_ERR_LIMIT, long_files[_i].name, long_files[_i].limit);
}
END_TEST

START_TEST(not_a_file)
{
	ck_assert_int_eq(mkfifo(tree_path("kvm/feature_msrs"), 0600), 0);
	expect_error(NESTMIG_ERR_FORMAT, "kvm/feature_msrs is not a regular file", UINT64_MAX);
}
END_TEST

START_TEST(a_link)
{
	ck_assert_int_eq(symlink("/proc/self/environ", tree_path("kvm/capabilities")), 0);
	expect_error(NESTMIG_ERR_FORMAT, "kvm/capabilities is a symbolic link", UINT64_MAX);
}
END_TEST

START_TEST(param_names)
{
	char name[512] = AMD_PARAMS;
	size_t start = strlen(name);

	tree_text(AMD_PARAMS ".hidden", "\x01");
	nestmig_host_free(read_tree());
	memset(name + start, 'n', 130);
	tree_text(name, "1\n");
	expect_error(NESTMIG_ERR_LIMIT, "sys/module/kvm_amd/parameters", UINT64_MAX);
	ck_assert_int_eq(unlink(tree_path(name)), 0);
	tree_text(AMD_PARAMS "a\x1b", "1\n");
	expect_error(NESTMIG_ERR_FORMAT, "sys/module/kvm_amd/parameters", UINT64_MAX);
}
END_TEST

START_TEST(too_many_params)
{
	char name[128];

	for (int i = 0; i < 513; i++) {
		snprintf(name, sizeof(name), AMD_PARAMS "p%d", i);
		tree_text(name, "1\n");
	}
	expect_error(NESTMIG_ERR_LIMIT, "kvm_amd.", UINT64_MAX);
}
END_TEST

START_TEST(no_tree)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	expect_error(NESTMIG_ERR_NOT_FOUND, "no captured host", UINT64_MAX);
	ck_assert_int_eq(nestmig_host_tree(tree_path("none"), &host, &detail), NESTMIG_ERR_IO);
	tree_text("file", "");
	ck_assert_int_eq(nestmig_host_tree(tree_path("file"), &host, &detail), NESTMIG_ERR_IO);
}
END_TEST

/* ---- Captured trees -------------------------------------------------------------------------- */

static char *whole_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	ck_assert_msg(file != NULL, "%s", path);
	ck_assert_uint_lt(fread(text, 1, (1 << 18) - 1, file), (1 << 18) - 1);
	fclose(file);
	return text;
}

/* expected.txt and expected.json are what nestmig_host_text and _json make of the tree; the JSON,
 * loaded again, gives the same text. */
static void check_captured(const char *name)
{
	struct nestmig_host *host = NULL, *again = NULL;
	struct nestmig_detail detail = {0};
	char path[1024], *text, *json, *expected;

	snprintf(path, sizeof(path), "%s/cases/%s", TESTS_DIR, name);
	ck_assert_msg(!nestmig_host_tree(path, &host, &detail), "%s", detail.text);
	ck_assert(!nestmig_host_text(host, &text));
	ck_assert(!nestmig_host_json(host, &json));
	nestmig_host_free(host);
	snprintf(path, sizeof(path), "%s/cases/%s/expected.txt", TESTS_DIR, name);
	expected = whole_file(path);
	ck_assert_str_eq(text, expected);
	free(expected);
	snprintf(path, sizeof(path), "%s/cases/%s/expected.json", TESTS_DIR, name);
	expected = whole_file(path);
	ck_assert_str_eq(json, expected);
	free(expected);
	free(json);
	ck_assert_msg(!nestmig_host_load(path, &again, &detail), "%s", detail.text);
	ck_assert(!nestmig_host_text(again, &json));
	ck_assert_str_eq(json, text);
	nestmig_host_free(again);
	free(json);
	free(text);
}

START_TEST(captured_amd)
{
	check_captured("host-amd-6.1");
}
END_TEST

START_TEST(captured_intel)
{
	check_captured("host-intel-6.1");
}
END_TEST

#define add_rows(tc, test, list)                                                                   \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(list) / sizeof((list)[0])))

int main(void)
{
	Suite *suite = suite_create("host-tree");
	TCase *tc = tcase_create("tree");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, amd);
	tcase_add_test(tc, intel);
	tcase_add_test(tc, nothing_is_unknown);
	tcase_add_test(tc, empty_arrays_are_unknown);
	add_rows(tc, vendor, vendors);
	tcase_add_test(tc, long_cpuinfo);
	add_rows(tc, broken_file, broken);
	add_rows(tc, too_long, long_files);
	tcase_add_test(tc, not_a_file);
	tcase_add_test(tc, a_link);
	tcase_add_test(tc, param_names);
	tcase_add_test(tc, too_many_params);
	tcase_add_test(tc, no_tree);
	tcase_add_test(tc, captured_amd);
	tcase_add_test(tc, captured_intel);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
