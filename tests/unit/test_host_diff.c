// SPDX-License-Identifier: GPL-2.0-or-later
/* Two hosts compared, and one in the words of schedulers. */
#include <check.h>
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "host_diff.h"
#include "host_export.h"
#include "host_profile.h"

#define AMD "'vendor':'amd','params':{'kvm_amd.nested':'1','kvm_amd.npt':'Y'}"
#define INTEL                                                                                      \
	"'vendor':'intel','params':{'kvm_intel.nested':'Y','kvm_intel.ept':'Y','kvm_intel."        \
	"unrestricted_guest':'Y'}"
#define SVM(ecx, edx)                                                                              \
	"'cpuid':[{'function':'0x80000001','index':'0x0','flags':'0x0','eax':'0x0','ebx':'0x0',"   \
	"'ecx':'" ecx "','edx':'0x0'},{'function':'0x80000008','index':'0x0','flags':'0x0',"       \
	"'eax':'0x3030','ebx':'0x0','ecx':'0x0','edx':'0x0'},{'function':'0x8000000a',"            \
	"'index':'0x0','flags':'0x0','eax':'0x1','ebx':'0x8','ecx':'0x0','edx':'" edx "'}]"
#define PROC2(value) "'msrs':{'0x48b':'" value "'}"

static const struct {
	const char *a, *b;
	enum nm_host_level level;
	const char *kind, *name;
	bool back; /* is it there the other way round, too, at any level but info? */
} rows[] = {
	{"'vendor':'amd'", "'vendor':'intel'", NM_LEVEL_BLOCKS, "vendor", "vendor", true},
	{AMD, "'vendor':'amd','params':{'kvm_amd.nested':'0','kvm_amd.npt':'Y'}", NM_LEVEL_BLOCKS,
	 "parameter", "kvm_amd.nested", false},
	{AMD, "'vendor':'amd','params':{'kvm_amd.nested':'1','kvm_amd.npt':'N'}", NM_LEVEL_BLOCKS,
	 "parameter", "kvm_amd.npt", false},
	{INTEL, "'vendor':'intel','params':{'kvm_intel.ept':'N'}", NM_LEVEL_BLOCKS, "parameter",
	 "kvm_intel.ept", false},
	{INTEL, "'vendor':'intel','params':{'kvm_intel.unrestricted_guest':'N'}", NM_LEVEL_BLOCKS,
	 "parameter", "kvm_intel.unrestricted_guest", false},
	{"'params':{'kvm.tdp_mmu':'Y'}", "'params':{'kvm.tdp_mmu':'N'}", NM_LEVEL_INFO, "parameter",
	 "kvm.tdp_mmu", false},
	{"'capabilities':{'KVM_CAP_NESTED_STATE':4224}",
	 "'capabilities':{'KVM_CAP_NESTED_STATE':0}", NM_LEVEL_BLOCKS, "capability",
	 "KVM_CAP_NESTED_STATE", false},
	{"'capabilities':{'KVM_CAP_SREGS2':1}", "'capabilities':{'KVM_CAP_SREGS2':0}",
	 NM_LEVEL_RISK, "capability", "KVM_CAP_SREGS2", false},
	{"'capabilities':{'KVM_CAP_MAX_VCPUS':1024}", "'capabilities':{'KVM_CAP_MAX_VCPUS':288}",
	 NM_LEVEL_INFO, "capability", "KVM_CAP_MAX_VCPUS", false},
	{SVM("0x4", "0x10001"), SVM("0x0", "0x10001"), NM_LEVEL_BLOCKS, "cpuid", "svm", false},
	{SVM("0x4", "0x10001"), SVM("0x4", "0x10000"), NM_LEVEL_BLOCKS, "cpuid", "npt", false},
	{SVM("0x4", "0x10001"), SVM("0x4", "0x1"), NM_LEVEL_RISK, "cpuid", "vgif", false},
	{SVM("0x4", "0x4001"), SVM("0x4", "0x1"), NM_LEVEL_RISK, "cpuid",
	 "cpuid 0x8000000a.0 edx bit 14", false},
	{PROC2("0x0000008200000000"), PROC2("0x0000008000000000"), NM_LEVEL_BLOCKS, "vmx",
	 "secondary control EPT", false},
	{PROC2("0x0000008200000000"), PROC2("0x0000000200000000"), NM_LEVEL_BLOCKS, "vmx",
	 "secondary control unrestricted guest", false},
	{PROC2("0x0000002200000000"), PROC2("0x0000000200000000"), NM_LEVEL_RISK, "vmx",
	 "secondary control VPID", false},
	{PROC2("0x0000002200000000"), PROC2("0x0000002200000020"), NM_LEVEL_RISK, "vmx",
	 "secondary control VPID", false},
	{"'msrs':{'0x48c':'0x6000'}", "'msrs':{'0x48c':'0x4000'}", NM_LEVEL_RISK, "vmx",
	 "EPT and VPID capability 13", false},
	{"'saved_msrs':['0x10','0xc0000104']", "'saved_msrs':['0x10']", NM_LEVEL_RISK, "msr",
	 "0xc0000104 TSC_RATIO", false},
	{"'probes':{'l2-state':'accepted'}", "'probes':{'tsc-khz':'1'}", NM_LEVEL_BLOCKS, "probe",
	 "l2-state", false},
	{"'probes':{'l2-ncr3-too-wide':'accepted'}", "'probes':{'l2-ncr3-too-wide':'refused'}",
	 NM_LEVEL_RISK, "probe", "l2-ncr3-too-wide", false},
	{"'kernel':'6.12.1'", "'kernel':'6.1.200'", NM_LEVEL_RISK, "kernel", "kernel", false},
	{"'kernel':'6.1.200'", "'kernel':'6.1.174'", NM_LEVEL_RISK, "advisory", "03bee264f8eb",
	 false},
	{"'kernel':'6.1.0'", "'kernel':'7.1.0'", NM_LEVEL_INFO, "rule", "svm-ctl-evtinj-type",
	 false},
	{"'facts':{'cpu.microcode':'0x1'}", "'facts':{'cpu.microcode':'0x2'}", NM_LEVEL_INFO,
	 "fact", "cpu.microcode", false},
};

static const struct nm_host_difference *find(const struct nm_host_diff *diff, const char *kind,
					     const char *name)
{
	for (size_t i = 0; i < diff->count; i++)
		if (!strcmp(diff->items[i].kind, kind) && !strcmp(diff->items[i].name, name))
			return &diff->items[i];
	return NULL;
}

START_TEST(difference)
{
	struct nestmig_host *a = profile(rows[_i].a), *b = profile(rows[_i].b);
	struct nm_host_diff *there = NULL, *back = NULL;
	const struct nm_host_difference *item;

	ck_assert(!nm_host_diff_new(a, b, &there));
	ck_assert(!nm_host_diff_new(b, a, &back));
	item = find(there, rows[_i].kind, rows[_i].name);
	ck_assert_msg(item, "no %s %s", rows[_i].kind, rows[_i].name);
	ck_assert_int_eq(item->level, rows[_i].level);
	ck_assert_msg(item->level == NM_LEVEL_INFO || *item->why, "%s: no reason", item->name);
	item = find(back, rows[_i].kind, rows[_i].name);
	ck_assert_int_eq(item && item->level != NM_LEVEL_INFO, rows[_i].back);
	nm_host_diff_free(there);
	nm_host_diff_free(back);
	nestmig_host_free(a);
	nestmig_host_free(b);
}
END_TEST

START_TEST(order_and_counts)
{
	struct nestmig_host *a = profile(AMD ",'kernel':'6.12.1'");
	struct nestmig_host *b = profile("'vendor':'intel','kernel':'6.1.1','facts':{'os.id':'x'}");
	size_t counts[NM_LEVELS] = {0};
	struct nm_host_diff *diff = NULL;
	char *text = NULL, *json = NULL;

	ck_assert(!nm_host_diff_new(a, b, &diff));
	for (size_t i = 0; i < diff->count; i++) {
		ck_assert(i == 0 || diff->items[i - 1].level <= diff->items[i].level);
		counts[diff->items[i].level]++;
	}
	ck_assert_mem_eq(counts, diff->counts, sizeof(counts));
	ck_assert_uint_gt(diff->unknown_count, 2);
	ck_assert(!nm_host_diff_text(diff, "a\x1b[2J", "b", false, &text));
	ck_assert_ptr_null(strchr(text, 0x1b));
	ck_assert_ptr_nonnull(strstr(text, "unknown capabilities"));
	ck_assert(!nm_host_diff_json(diff, "a\xff", "b", &json));
	ck_assert_ptr_nonnull(strstr(json, "\"schema\":\"nestmig.host-diff/1\""));
	free(text);
	free(json);
	nm_host_diff_free(diff);
	nestmig_host_free(a);
	nestmig_host_free(b);
}
END_TEST

START_TEST(no_difference)
{
	struct nestmig_host *a = profile(AMD "," SVM("0x4", "0x10001"));
	struct nestmig_host *b =
		profile("'vendor':'amd','params':{'kvm_amd.nested':'Y','kvm_amd.npt':'1'}," SVM(
			"0x4", "0x10001"));
	struct nm_host_diff *diff = NULL;

	ck_assert(!nm_host_diff_new(a, b, &diff));
	ck_assert_uint_eq(diff->count, 0);
	nm_host_diff_free(diff);
	nestmig_host_free(a);
	nestmig_host_free(b);
}
END_TEST

/* ---- Exports --------------------------------------------------------------------------------- */

#define FULL                                                                                       \
	AMD ",'kernel':'6.1.174','capabilities':{'KVM_CAP_NESTED_STATE':4224},"                    \
	    "'facts':{'os.name':'A \\'quoted\\' \\\\ name'}," SVM("0x4", "0x10001")

/* Every line of a text fits one of the patterns. */
static void expect_lines(char *text, const char *pattern)
{
	regex_t regex;
	char *state = NULL;
	size_t lines = 0;

	ck_assert(!regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB));
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		ck_assert_msg(regexec(&regex, line, 0, NULL, 0) == 0, "%s", line);
		lines++;
	}
	ck_assert_uint_gt(lines, 5);
	regfree(&regex);
	free(text);
}

START_TEST(nfd)
{
	struct nestmig_host *host = profile(FULL);
	char *text = NULL;

	ck_assert(!nm_host_nfd(host, &text));
	ck_assert_ptr_nonnull(strstr(text, "\nfeature.node.kubernetes.io/nestmig-nested=true\n"));
	ck_assert_ptr_nonnull(strstr(text, "/nestmig-svm-vgif=true\n"));
	ck_assert_ptr_nonnull(strstr(text, "/nestmig-advisory-03bee264f8eb=true\n"));
	ck_assert_ptr_nonnull(strstr(text, "/nestmig-class="));
	/* Names and values of labels: at most 63 letters, digits, '-', '_', '.', the first and last no mark. */
	expect_lines(text,
		     "^(# .*|feature\\.node\\.kubernetes\\.io/[a-z]([a-z0-9._-]{0,61}[a-z0-9])?="
		     "[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)$");
	nestmig_host_free(host);
}
END_TEST

START_TEST(nova)
{
	struct nestmig_host *host = profile(FULL);
	char *text = NULL;

	ck_assert(!nm_host_nova(host, &text));
	ck_assert_ptr_nonnull(strstr(text, "  schema_version: '1.0'\n"));
	ck_assert_ptr_nonnull(strstr(text, "- 'CUSTOM_NESTMIG_NESTED_PAGING'\n"));
	ck_assert_ptr_nonnull(strstr(text, "- 'CUSTOM_NESTMIG_KERNEL_6_1'\n"));
	expect_lines(text, "^(# .*|meta:|  schema_version: '1\\.0'|providers:|  - identification:|"
			   "      uuid: '\\$COMPUTE_NODE'|    traits:|      additional:|"
			   "        - 'CUSTOM_[A-Z0-9_]{1,248}')$");
	nestmig_host_free(host);
}
END_TEST

/* What is off has no trait. */
START_TEST(nova_off)
{
	struct nestmig_host *host =
		profile("'vendor':'amd','params':{'kvm_amd.nested':'0','kvm_amd.npt':'N'}");
	char *text = NULL;

	ck_assert(!nm_host_nova(host, &text));
	ck_assert_ptr_null(strstr(text, "NESTED"));
	ck_assert_ptr_null(strstr(text, "CLASS"));
	free(text);
	nestmig_host_free(host);
}
END_TEST

START_TEST(openmetrics)
{
	struct nestmig_host *host = profile(FULL);
	char *text = NULL;

	ck_assert(!nm_host_openmetrics(host, &text));
	ck_assert_ptr_nonnull(strstr(text, "\nnestmig_host_nested 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "os=\"A \\\"quoted\\\" \\\\ name\""));
	ck_assert_str_eq(text + strlen(text) - 7, "\n# EOF\n");
	expect_lines(text,
		     "^(# EOF|# (HELP|TYPE) nestmig_host_[a-z_]+ .*|"
		     "nestmig_host_[a-z_]+(\\{([a-z]+=\"([^\"\\]|\\\\[\"\\])*\",?)+\\})? [0-9]+)$");
	nestmig_host_free(host);
}
END_TEST

START_TEST(classes)
{
	struct nestmig_host *a = profile(FULL), *b = profile(FULL ",'probes':{'tsc-khz':'7'}");
	struct nestmig_host *c =
		profile(AMD ",'capabilities':{'KVM_CAP_NESTED_STATE':4224}," SVM("0x4", "0x1"));
	struct nestmig_host *d = profile(AMD);
	char class[3][17];

	ck_assert(nm_host_class(a, class[0]) && nm_host_class(b, class[1]) &&
		  nm_host_class(c, class[2]));
	ck_assert_str_eq(class[0], class[1]);
	ck_assert_str_ne(class[0], class[2]);
	ck_assert(!nm_host_class(d, class[0]));
	nestmig_host_free(a);
	nestmig_host_free(b);
	nestmig_host_free(c);
	nestmig_host_free(d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host-diff");
	TCase *tc = tcase_create("diff");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, difference, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, order_and_counts);
	tcase_add_test(tc, no_difference);
	tcase_add_test(tc, nfd);
	tcase_add_test(tc, nova);
	tcase_add_test(tc, nova_off);
	tcase_add_test(tc, openmetrics);
	tcase_add_test(tc, classes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
