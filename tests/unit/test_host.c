// SPDX-License-Identifier: GPL-2.0-or-later
/* The host profile: parts, the view made of them, copies and the text for readers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define HAVE_ALL                                                                                   \
	(NESTMIG_HAVE(HOST_KERNEL) | NESTMIG_HAVE(HOST_PARAMS) | NESTMIG_HAVE(HOST_CPUID) |        \
	 NESTMIG_HAVE(HOST_CAPS) | NESTMIG_HAVE(HOST_MSRS))

static struct nestmig_host *from_parts(enum nestmig_vendor vendor, const char *kernel,
				       const char *params)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_msg(!nm_host_from_parts(vendor, kernel, params, &host, &detail), "%s",
		      detail.text);
	return host;
}

static const char *param(const struct nestmig_host *host, const char *name)
{
	for (size_t i = 0; i < host->param_count; i++)
		if (!strcmp(host->params[i].name, name))
			return host->params[i].value;
	return NULL;
}

static const struct {
	const char *release;
	uint32_t version;
} releases[] = {
	{"6.1.0-37-amd64", NESTMIG_KERNEL(6, 1)},
	{"7.1.3", NESTMIG_KERNEL(7, 1)},
	{"5.14.0-503.11.1.el9_5.x86_64", NESTMIG_KERNEL(5, 14)},
	{"7.2-rc1+", NESTMIG_KERNEL(7, 2)},
	{"6.12", NESTMIG_KERNEL(6, 12)},
	{"6", 0},
	{"6.", 0},
	{".1", 0},
	{"v6.1", 0},
	{"custom", 0},
	{"6-1", 0},
	{"6.70000", 0},
	{"99999999999999999999.1", 0},
	{"-6.1", 0},
};

START_TEST(kernel_release)
{
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_AMD, releases[_i].release, NULL);
	bool known = host->view.have & NESTMIG_HAVE(HOST_KERNEL);

	ck_assert_uint_eq(host->view.kernel, releases[_i].version);
	ck_assert_int_eq(known, releases[_i].version != 0);
	ck_assert_str_eq(host->kernel, releases[_i].release);
	nestmig_host_free(host);
}
END_TEST

START_TEST(nothing_known)
{
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_UNKNOWN, NULL, NULL);

	ck_assert_uint_eq(host->view.have, 0);
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_UNKNOWN);
	nestmig_host_free(host);
	nestmig_host_free(NULL);
}
END_TEST

static const struct {
	enum nestmig_vendor vendor, expected;
	const char *params;
	bool known; /* HOST_PARAMS */
	uint8_t nested, npt, ept, unrestricted_guest, vgif;
} param_rows[] = {
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=1 npt=0", true, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=Y npt=Y vgif=1", true, 1, 1, 0, 0, 1},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, " nested=N\tnpt=y\n", true, 0, 1, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=1 nested=0 npt=1", true, 0, 1, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "kvm_amd.nested=1 kvm_amd.npt=1", true, 1, 1, 0, 0,
	 0},
	/* One that is not listed is not off. */
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=1", false, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "npt=1", false, 0, 1, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=1 npt=2", false, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "nested=1 npt=", false, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "", false, 0, 0, 0, 0, 0},
	/* The other vendor's module says nothing about this one. */
	{NESTMIG_VENDOR_AMD, NESTMIG_VENDOR_AMD, "kvm_intel.nested=1 npt=1", false, 0, 1, 0, 0, 0},
	{NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_INTEL, "nested=Y ept=Y unrestricted_guest=N", true, 1,
	 0, 1, 0, 0},
	{NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_INTEL, "nested=Y unrestricted_guest=Y", true, 1, 0, 1,
	 1, 0},
	{NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_INTEL, "nested=Y ept=N", true, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_INTEL, "nested=Y ept=Y", false, 1, 0, 1, 0, 0},
	{NESTMIG_VENDOR_INTEL, NESTMIG_VENDOR_INTEL, "nested=Y unrestricted_guest=N", false, 1, 0,
	 0, 0, 0},
	/* The vendor follows from a parameter that only one module has. */
	{NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_AMD, "nested=1 npt=1", true, 1, 1, 0, 0, 0},
	{NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_INTEL, "nested=1 ept=0", true, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_AMD, "kvm_amd.nested=1", false, 1, 0, 0, 0, 0},
	{NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_UNKNOWN, "nested=1", false, 0, 0, 0, 0, 0},
	{NESTMIG_VENDOR_UNKNOWN, NESTMIG_VENDOR_UNKNOWN, "kvm_amd.npt=1 kvm_intel.ept=1", false, 0,
	 0, 0, 0, 0},
};

START_TEST(params_of_modules)
{
	struct nestmig_host *host = from_parts(param_rows[_i].vendor, NULL, param_rows[_i].params);
	bool known = host->view.have & NESTMIG_HAVE(HOST_PARAMS);

	ck_assert_int_eq(host->view.vendor, param_rows[_i].expected);
	ck_assert_int_eq(known, param_rows[_i].known);
	ck_assert_uint_eq(host->view.nested, param_rows[_i].nested);
	ck_assert_uint_eq(host->view.npt, param_rows[_i].npt);
	ck_assert_uint_eq(host->view.ept, param_rows[_i].ept);
	ck_assert_uint_eq(host->view.unrestricted_guest, param_rows[_i].unrestricted_guest);
	ck_assert_uint_eq(host->view.vgif, param_rows[_i].vgif);
	nestmig_host_free(host);
}
END_TEST

/* KVM emulates invalid guest state unless it is told not to. */
START_TEST(param_emulation)
{
	static const char *const params[] = {
		"nested=Y ept=Y unrestricted_guest=Y", "emulate_invalid_guest_state=Y",
		"emulate_invalid_guest_state=N", "kvm_intel.emulate_invalid_guest_state=0"};

	for (unsigned i = 0; i < 4; i++) {
		struct nestmig_host *host = from_parts(NESTMIG_VENDOR_INTEL, NULL, params[i]);

		ck_assert_uint_eq(host->view.no_emulation, i > 1);
		nestmig_host_free(host);
	}
}
END_TEST

START_TEST(param_modules)
{
	struct nestmig_host *host =
		from_parts(NESTMIG_VENDOR_AMD, NULL, "npt=0 ignore_msrs=1 kvm.tdp_mmu=N novel=7");

	ck_assert_str_eq(param(host, "kvm_amd.npt"), "0");
	ck_assert_str_eq(param(host, "kvm.ignore_msrs"), "1");
	ck_assert_str_eq(param(host, "kvm.tdp_mmu"), "N");
	ck_assert_str_eq(param(host, "kvm_amd.novel"), "7");
	nestmig_host_free(host);
}
END_TEST

static const char *const bad_params[] = {
	"nested", "=1", "nes\x1bted=1", "nested=\x01", "n\xc3\xa4sted=1", "nested=1 npt",
};

START_TEST(broken_params)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_int_eq(
		nm_host_from_parts(NESTMIG_VENDOR_AMD, "6.1", bad_params[_i], &host, &detail),
		NESTMIG_ERR_FORMAT);
	ck_assert_ptr_null(host);
	ck_assert_str_ne(detail.text, "");
}
END_TEST

START_TEST(part_limits)
{
	static char params[600 * 16], kernel[200], value[300];
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};
	size_t used = 0;

	for (int i = 0; i < 600; i++)
		used += (size_t)sprintf(params + used, "p%d=1 ", i);
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, NULL, params, &host, &detail),
			 NESTMIG_ERR_LIMIT);
	memset(kernel, '6', sizeof(kernel) - 1);
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, kernel, NULL, &host, &detail),
			 NESTMIG_ERR_LIMIT);
	memset(value, 'n', sizeof(value) - 1);
	value[1] = '=';
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, NULL, value, &host, &detail),
			 NESTMIG_ERR_LIMIT);
	value[1] = 'n';
	value[290] = '=';
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, NULL, value, &host, &detail),
			 NESTMIG_ERR_LIMIT);
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, "", NULL, &host, &detail),
			 NESTMIG_ERR_FORMAT);
	ck_assert_int_eq(nm_host_from_parts(NESTMIG_VENDOR_AMD, "6.1 x", NULL, &host, &detail),
			 NESTMIG_ERR_FORMAT);
	ck_assert_ptr_null(host);
}
END_TEST

static const struct nm_cpuid_entry amd_cpuid[] = {
	{.function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163},
	{.function = 0x80000008, .eax = 0x3028},
	{.function = 0x8000000a, .eax = 1, .ebx = 16, .edx = 0x10009 | 1 << 8},
};

START_TEST(cpuid_and_msrs)
{
	static const struct nm_msr msrs[] = {{0x10a, 1}, {0xc0011029, 2}, {0x10a, 3}};
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_UNKNOWN, "6.1", "nested=1 npt=1");

	ck_assert(!nm_host_add_cpuid(host, amd_cpuid, 3));
	ck_assert(!nm_host_add_msrs(host, msrs, 3));
	ck_assert(!nm_host_add_msrs(host, NULL, 0));
	ck_assert(!nm_host_add_cpuid(host, NULL, 0));
	ck_assert_int_eq(host->view.vendor, NESTMIG_VENDOR_AMD);
	ck_assert_uint_eq(host->view.have, HAVE_ALL & ~NESTMIG_HAVE(HOST_CAPS));
	ck_assert_uint_eq(host->view.cpuid.word[NESTMIG_CPUID_80000008_EAX], 0x3028);
	ck_assert_uint_eq(host->msr_count, 2);
	ck_assert_uint_eq(host->msrs[0].value, 3);
	nestmig_host_free(host);
}
END_TEST

static const struct {
	char id[13];
	enum nestmig_vendor vendor;
} vendor_ids[] = {
	{"AuthenticAMD", NESTMIG_VENDOR_AMD},   {"HygonGenuine", NESTMIG_VENDOR_AMD},
	{"GenuineIntel", NESTMIG_VENDOR_INTEL}, {"  Shanghai  ", NESTMIG_VENDOR_INTEL},
	{"CentaurHauls", NESTMIG_VENDOR_INTEL}, {"SomebodyElse", NESTMIG_VENDOR_UNKNOWN},
};

static uint32_t word_of(const char *text)
{
	return (uint32_t)text[0] | (uint32_t)text[1] << 8 | (uint32_t)text[2] << 16 |
	       (uint32_t)text[3] << 24;
}

START_TEST(vendor_from_cpuid)
{
	const char *id = vendor_ids[_i].id;
	struct nm_cpuid_entry leaf = {
		.ebx = word_of(id), .edx = word_of(id + 4), .ecx = word_of(id + 8)};
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_UNKNOWN, NULL, NULL);

	ck_assert(!nm_host_add_cpuid(host, &leaf, 1));
	ck_assert_int_eq(host->view.vendor, vendor_ids[_i].vendor);
	nestmig_host_free(host);
}
END_TEST

START_TEST(array_limits)
{
	struct nm_cpuid_entry *entries = calloc(1025, sizeof(*entries));
	struct nm_msr *msrs = calloc(1025, sizeof(*msrs));
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_AMD, NULL, NULL);

	ck_assert_int_eq(nm_host_add_cpuid(host, entries, 1025), NESTMIG_ERR_LIMIT);
	ck_assert_int_eq(nm_host_add_cpuid(host, entries, SIZE_MAX), NESTMIG_ERR_LIMIT);
	ck_assert_int_eq(nm_host_add_msrs(host, msrs, 1025), NESTMIG_ERR_LIMIT);
	ck_assert(!nm_host_add_cpuid(host, entries, 1024));
	ck_assert_int_eq(nm_host_add_cpuid(host, entries, 1), NESTMIG_ERR_LIMIT);
	ck_assert_uint_eq(host->cpuid_count, 1024);
	ck_assert_uint_eq(host->msr_count, 0);
	nestmig_host_free(host);
	free(entries);
	free(msrs);
}
END_TEST

static const char full_profile[] =
	"{\"schema\":\"nestmig.host/1\",\"vendor\":\"amd\",\"kernel\":\"6.1.0-37-amd64\","
	"\"params\":{\"kvm.tdp_mmu\":\"Y\",\"kvm_amd.nested\":\"1\",\"kvm_amd.npt\":\"Y\"},"
	"\"capabilities\":{\"KVM_CAP_NESTED_STATE\":4224,\"KVM_CAP_SREGS2\":0},"
	"\"msrs\":{\"0xc0011029\":\"0x2\",\"0x55\":\"0x0\"},\"cpuid\":["
	"{\"function\":\"0x80000008\",\"index\":\"0x0\",\"flags\":\"0x0\",\"eax\":\"0x3028\","
	"\"ebx\":\"0x0\",\"ecx\":\"0x0\",\"edx\":\"0x0\"},"
	"{\"function\":\"0x8000000a\",\"index\":\"0x0\",\"flags\":\"0x0\",\"eax\":\"0x1\","
	"\"ebx\":\"0x10\",\"ecx\":\"0x0\",\"edx\":\"0x10109\"}]}";

static struct nestmig_host *full(void)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert_msg(!nm_host_parse(full_profile, strlen(full_profile), &host, &detail), "%s",
		      detail.text);
	return host;
}

START_TEST(copies)
{
	struct nestmig_host *host = full(), *copy = NULL;
	char *a, *b;

	ck_assert(!nm_host_dup(host, &copy));
	ck_assert(!nestmig_host_json(host, &a));
	ck_assert_int_eq(memcmp(&host->view, &copy->view, sizeof(host->view)), 0);
	nestmig_host_free(host);
	ck_assert(!nestmig_host_json(copy, &b));
	nestmig_host_free(copy);
	ck_assert_str_eq(a, b);
	free(a);
	free(b);
}
END_TEST

START_TEST(of_state)
{
	struct nestmig_state state = {.format = "raw-dump", .host = full()};
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail = {0};

	ck_assert(!nestmig_host_of_state(&state, &host, &detail));
	ck_assert_ptr_ne(host, state.host);
	ck_assert_uint_eq(host->view.have, HAVE_ALL);
	nestmig_host_free(host);
	nestmig_host_free(state.host);
	state.host = NULL;
	ck_assert_int_eq(nestmig_host_of_state(&state, &host, &detail), NESTMIG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(detail.text, "raw-dump"));
}
END_TEST

/* What the text has to say, and must not say, of a host that is well known. */
START_TEST(text_amd)
{
	static const char *const wanted[] = {
		"kernel:               6.1.0-37-amd64\n",
		"vendor:               amd\n",
		"nested:               on\n",
		"nested paging (npt):  on\n",
		"nested state size:    4224 bytes\n",
		"MAXPHYADDR:           40 bits\n",
		"ASIDs:                16\n",
		"SVM features:         npt nrip-save bit-8 vgif\n",
		"  kvm.tdp_mmu ",
		"  KVM_CAP_SREGS2 ",
		"  0xc0011029 DE_CFG ",
		"  0x00000055  ",
	};
	struct nestmig_host *host = full();
	char *text;

	ck_assert(!nestmig_host_text(host, &text));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		ck_assert_msg(strstr(text, wanted[i]), "\"%s\" not in:\n%s", wanted[i], text);
	ck_assert_ptr_null(strstr(text, "unknown"));
	nestmig_host_free(host);
	free(text);
}
END_TEST

START_TEST(text_unknown)
{
	struct nestmig_host *host = from_parts(NESTMIG_VENDOR_INTEL, NULL, "ept=N");
	char *text;

	ck_assert(!nestmig_host_text(host, &text));
	ck_assert_str_eq(text, "kernel:               unknown\n"
			       "vendor:               intel\n"
			       "nested:               unknown\n"
			       "EPT:                  off\n"
			       "unrestricted guest:   unknown\n"
			       "nested state size:    unknown\n"
			       "MAXPHYADDR:           unknown\n"
			       "CPUID:                unknown\n"
			       "\nModule parameters\n"
			       "  kvm_intel.ept                              N\n");
	nestmig_host_free(host);
	free(text);
}
END_TEST

#define add_rows(tc, test, list)                                                                   \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(list) / sizeof((list)[0])))

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("parts");
	SRunner *runner;
	int failed;

	add_rows(tc, kernel_release, releases);
	tcase_add_test(tc, nothing_known);
	add_rows(tc, params_of_modules, param_rows);
	tcase_add_test(tc, param_emulation);
	tcase_add_test(tc, param_modules);
	add_rows(tc, broken_params, bad_params);
	tcase_add_test(tc, part_limits);
	tcase_add_test(tc, cpuid_and_msrs);
	add_rows(tc, vendor_from_cpuid, vendor_ids);
	tcase_add_test(tc, array_limits);
	tcase_add_test(tc, copies);
	tcase_add_test(tc, of_state);
	tcase_add_test(tc, text_amd);
	tcase_add_test(tc, text_unknown);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
