// SPDX-License-Identifier: GPL-2.0-or-later
/* Advisories: the table, what decides one, and what a changelog tells. */
#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "host_advisories.h"
#include "host_parts.h"
#include "host_probe.h"
#include "host_profile.h"

static const struct nm_advisory *find(const char *id)
{
	for (size_t i = 0; i < nm_advisory_count; i++)
		if (!strcmp(nm_advisories[i].id, id))
			return &nm_advisories[i];
	ck_abort_msg("no advisory %s", id);
	return NULL;
}

/* ---- The table ------------------------------------------------------------------------------- */

static bool is_id(const char *id)
{
	if (!strncmp(id, "CVE-", 4))
		return true;
	return strlen(id) == 12 && strspn(id, "0123456789abcdef") == 12;
}

/* Numbers and dots, so many dots. */
static bool is_version(const char *text, size_t length, unsigned dots)
{
	unsigned seen = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] != '.' && !isdigit((unsigned char)text[i]))
			return false;
		seen += text[i] == '.';
	}
	return length && seen == dots;
}

static bool is_probe(const char *name)
{
	for (size_t i = 0; i < nm_probe_count(); i++)
		if (!strcmp(nm_probe_name(i), name))
			return true;
	return false;
}

START_TEST(probes)
{
	ck_assert_uint_gt(nm_probe_count(), 10);
	for (size_t i = 0; i < nm_probe_count(); i++) {
		const char *name = nm_probe_name(i);

		ck_assert_msg(*name && strlen(name) < NM_PROBE_NAME, "%s", name);
		ck_assert_msg(*nm_probe_title(name), "%s", name);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(nm_probe_name(k), name);
	}
	ck_assert_str_eq(nm_probe_title("no-such-probe"), "");
}
END_TEST

START_TEST(table)
{
	ck_assert_uint_ge(nm_advisory_count, 120);
	for (size_t i = 0; i < nm_advisory_count; i++) {
		const struct nm_advisory *a = &nm_advisories[i];

		ck_assert_msg(is_id(a->id), "%s", a->id);
		ck_assert_msg(i == 0 || strcmp(nm_advisories[i - 1].id, a->id) < 0, "%s", a->id);
		ck_assert_msg(!*a->mainline || is_version(a->mainline, strlen(a->mainline), 1),
			      "%s", a->id);
		ck_assert_msg(*a->mainline || *a->stable, "%s", a->id);
		for (const char *at = a->stable; *at; at += strspn(at, " ")) {
			size_t length = strcspn(at, " ");

			ck_assert_msg(is_version(at, length, 2), "%s: %s", a->id, at);
			at += length;
		}
		ck_assert_msg(*a->symptom && a->symptom[strlen(a->symptom) - 1] != '.', "%s",
			      a->id);
		ck_assert_msg(a->decided != NM_DECIDED_PROBE || is_probe(a->name), "%s", a->id);
		ck_assert_msg((a->decided != NM_DECIDED_CAP && a->decided != NM_DECIDED_BIT) ||
				      !strncmp(a->name, "KVM_CAP_", 8),
			      "%s", a->id);
	}
}
END_TEST

/* ---- What decides ---------------------------------------------------------------------------- */

#define DEBIAN(version) "'facts':{'kernel.build':'#1 SMP Debian " version " (2026-11-16)'}"
#define HAS(id)         ",'changelog':{'" id "':'has'}"
#define LACKS(id)       ",'changelog':{'" id "':'lacks'}"

static const struct {
	const char *members, *id;
	enum nm_advisory_status status;
	enum nm_advisory_by by;
} decisions[] = {
	/* Nothing is known. */
	{"", "f85a6ce06e4a", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'generic'", "f85a6ce06e4a", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	/* Mainline, whoever built it. */
	{"'kernel':'7.1.0'", "f85a6ce06e4a", NM_ADVISORY_FIXED, NM_BY_VERSION},
	{"'kernel':'7.2.0-12-generic'", "f85a6ce06e4a", NM_ADVISORY_FIXED, NM_BY_VERSION},
	{"'kernel':'10.0-rc1'", "f85a6ce06e4a", NM_ADVISORY_FIXED, NM_BY_VERSION},
	/* The stable line: 5.10.258 5.15.209 6.1.175 6.6.140 6.12.86 6.18.27 7.0.4. */
	{"'kernel':'6.1.175'", "03bee264f8eb", NM_ADVISORY_FIXED, NM_BY_VERSION},
	{"'kernel':'6.1.174'", "03bee264f8eb", NM_ADVISORY_AFFECTED, NM_BY_VERSION},
	{"'kernel':'6.1'", "03bee264f8eb", NM_ADVISORY_AFFECTED, NM_BY_VERSION},
	{"'kernel':'6.11.9'", "03bee264f8eb", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'6.12.90-arch1-1'", "03bee264f8eb", NM_ADVISORY_FIXED, NM_BY_VERSION},
	/* An older kernel of a distribution may have it. */
	{"'kernel':'6.12.80-301.fc41.x86_64'", "03bee264f8eb", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'5.14.0-427.el9.x86_64'", "03bee264f8eb", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'6.6.0-45-generic'", "03bee264f8eb", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	/* Debian's release does not tell the stable release, its build does. */
	{"'kernel':'6.1.0-56-amd64'", "03bee264f8eb", NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'6.1.0-56-amd64'," DEBIAN("6.1.192-2"), "03bee264f8eb", NM_ADVISORY_FIXED,
	 NM_BY_VERSION},
	{"'kernel':'6.1.0-30-amd64'," DEBIAN("6.1.124-1"), "03bee264f8eb", NM_ADVISORY_UNKNOWN,
	 NM_BY_NOTHING},
	/* The changelog comes before the version, and its silence counts only with Debian. */
	{"'kernel':'6.1.0-30-amd64'," DEBIAN("6.1.124-1") HAS("03bee264f8eb"), "03bee264f8eb",
	 NM_ADVISORY_FIXED, NM_BY_CHANGELOG},
	{"'kernel':'6.1.0-30-amd64'," DEBIAN("6.1.124-1") LACKS("03bee264f8eb"), "03bee264f8eb",
	 NM_ADVISORY_AFFECTED, NM_BY_CHANGELOG},
	{"'kernel':'5.14.0-427.el9.x86_64','changelog':{'03bee264f8eb':'lacks'}", "03bee264f8eb",
	 NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	{"'kernel':'5.14.0-427.el9.x86_64','changelog':{'03bee264f8eb':'has'}", "03bee264f8eb",
	 NM_ADVISORY_FIXED, NM_BY_CHANGELOG},
	{"'kernel':'6.1.175-9.el10','changelog':{'03bee264f8eb':'reverted'}", "03bee264f8eb",
	 NM_ADVISORY_AFFECTED, NM_BY_CHANGELOG},
	/* It began with the commit: no line is about it. */
	{"'kernel':'6.1.0-56-amd64'," DEBIAN("6.1.192-2") LACKS("cd0e615c49e5"), "cd0e615c49e5",
	 NM_ADVISORY_FIXED, NM_BY_VERSION},
	/* Only younger lines have it: the fault may be younger than 6.1. */
	{"'kernel':'6.1.0-56-amd64'," DEBIAN("6.1.192-2") LACKS("2673dfb591a3"), "2673dfb591a3",
	 NM_ADVISORY_UNKNOWN, NM_BY_NOTHING},
	/* Probes before all else. */
	{"'kernel':'7.1.0','probes':{'failed-vmrun-gif':'set'}", "f85a6ce06e4a",
	 NM_ADVISORY_AFFECTED, NM_BY_PROBE},
	{"'kernel':'6.1.0-56-amd64','probes':{'failed-vmrun-gif':'clear'}", "f85a6ce06e4a",
	 NM_ADVISORY_FIXED, NM_BY_PROBE},
	{"'kernel':'7.1.0','probes':{'failed-vmrun-gif':'sideways'}", "f85a6ce06e4a",
	 NM_ADVISORY_FIXED, NM_BY_VERSION},
	{"'kernel':'7.1.0','capabilities':{'KVM_CAP_SREGS2':0}", "6dba94035203",
	 NM_ADVISORY_AFFECTED, NM_BY_PROBE},
	{"'kernel':'5.10.0','capabilities':{'KVM_CAP_SREGS2':1}", "6dba94035203", NM_ADVISORY_FIXED,
	 NM_BY_PROBE},
	{"'capabilities':{'KVM_CAP_DISABLE_QUIRKS2':1023}", "e2ffe85b6d2b", NM_ADVISORY_AFFECTED,
	 NM_BY_PROBE},
	{"'capabilities':{'KVM_CAP_DISABLE_QUIRKS2':1024}", "e2ffe85b6d2b", NM_ADVISORY_FIXED,
	 NM_BY_PROBE},
	{"'saved_msrs':['0x10','0x1d9']", "3700f0788da6", NM_ADVISORY_FIXED, NM_BY_PROBE},
	{"'saved_msrs':['0x10']", "3700f0788da6", NM_ADVISORY_AFFECTED, NM_BY_PROBE},
	/* Not in use. */
	{"'vendor':'amd','kernel':'6.1.5','params':{'kvm_amd.avic':'N'}", "24f7d36b824b",
	 NM_ADVISORY_NOT_AFFECTED, NM_BY_PARAMETER},
	{"'vendor':'amd','kernel':'6.1.5','params':{'kvm_amd.avic':'Y'}", "24f7d36b824b",
	 NM_ADVISORY_AFFECTED, NM_BY_VERSION},
	{"'vendor':'intel','kernel':'7.1.2','params':{'kvm_intel.ept':'Y'}", "ebdac7554abb",
	 NM_ADVISORY_NOT_AFFECTED, NM_BY_PARAMETER},
	{"'vendor':'intel','kernel':'7.1.2','params':{'kvm_intel.ept':'N'}", "ebdac7554abb",
	 NM_ADVISORY_AFFECTED, NM_BY_VERSION},
};

START_TEST(decision)
{
	struct nestmig_host *host = profile(decisions[_i].members);
	struct nm_advisory_result result;

	nm_advisory_judge(find(decisions[_i].id), host, &result);
	ck_assert_msg(result.status == decisions[_i].status && result.by == decisions[_i].by,
		      "%s of %s: %s by %s (%s)", decisions[_i].id, decisions[_i].members,
		      nm_advisory_status_name(result.status), nm_advisory_by_name(result.by),
		      result.evidence);
	ck_assert_int_eq(result.by == NM_BY_NOTHING, !*result.evidence);
	nestmig_host_free(host);
}
END_TEST

START_TEST(vendors)
{
	struct nestmig_host *amd = profile("'vendor':'amd'"), *none = profile("");

	ck_assert(nm_advisory_applies(find("f85a6ce06e4a"), amd));
	ck_assert(!nm_advisory_applies(find("cd0e615c49e5"), amd));
	ck_assert(nm_advisory_applies(find("ed2351174e38"), amd));
	ck_assert(nm_advisory_applies(find("cd0e615c49e5"), none));
	nestmig_host_free(amd);
	nestmig_host_free(none);
}
END_TEST

/* ---- Changelogs ------------------------------------------------------------------------------ */

#define GIF   "KVM: nSVM: Clear GIF on nested #VMEXIT(INVALID)"
#define NCR3  "KVM: nSVM: Add missing consistency check for nCR3 validity"
#define ENTRY "linux (6.1.190-1) bookworm; urgency=high\n\n"

static const struct {
	const char *text, *version, *gif; /* what is kept of f85a6ce06e4a; NULL: nothing */
} changelogs[] = {
	{ENTRY "    - [x86] " GIF "\n", "6.1.190-1", "has"},
	{ENTRY "    - [x86] KVM: nSVM: Clear GIF on nested\n      #VMEXIT(INVALID)\n", "6.1.190-1",
	 "has"},
	{ENTRY "    - [x86] " NCR3 "\n", "6.1.190-1", "lacks"},
	/* What is installed is newer than what runs. */
	{"linux (6.1.192-1) x\n\n  - " GIF "\n\n" ENTRY "  - " NCR3 "\n", "6.1.190-1", "lacks"},
	{"linux (6.1.192-1) x\n\n  - " NCR3 "\n\n" ENTRY "  - " GIF "\n", "6.1.192-1", "has"},
	{"linux-signed-amd64 (6.1.192+2) x\n\n  * Sign kernel from linux 6.1.192-2\n\n  * " GIF
	 "\n",
	 "6.1.192-2", "has"},
	{ENTRY "    - [x86] " GIF "\n", "6.1.19-1", NULL},
	{"", "6.1.190-1", NULL},
	/* Newest first: the last word counts. */
	{ENTRY "  - Revert \"" GIF "\"\n  - " GIF "\n", "6.1.190-1", "reverted"},
	{ENTRY "  - " GIF "\n  - Revert \"" GIF "\"\n", "6.1.190-1", "has"},
	/* By commit, and of a package that is the running kernel's for sure. */
	{"* Mon Nov 16 2026 - x86: KVM fix (commit f85a6ce06e4a)\n", NULL, "has"},
	{"* Mon Nov 16 2026 - nothing\n", NULL, "lacks"},
};

START_TEST(changelog)
{
	struct nestmig_host *host = profile("");
	char text[1024];
	const char *got;

	snprintf(text, sizeof(text), "%s", changelogs[_i].text);
	ck_assert(!nm_host_search_changelog(host, text, changelogs[_i].version, NULL));
	got = nm_host_get(&host->changelog, "f85a6ce06e4a");
	if (changelogs[_i].gif)
		ck_assert_str_eq(got, changelogs[_i].gif);
	else
		ck_assert_uint_eq(host->changelog.count, 0);
	nestmig_host_free(host);
}
END_TEST

/* An excerpt of Debian's own: every commit that was looked up there is in it, of the version that runs. */
START_TEST(changelog_of_debian)
{
	struct nestmig_host *host = NULL;
	struct nm_advisory_result result;
	size_t named = 0;

	ck_assert(!nestmig_host_tree(TESTS_DIR "/cases/host-amd-6.1", &host, NULL));
	ck_assert(!nm_host_read_changelog(host, TESTS_DIR "/cases/host-package", NULL));
	for (size_t i = 0; i < host->changelog.count; i++)
		named += !strcmp(host->changelog.entries[i].value, "has");
	ck_assert_uint_ge(named, 60);
	nm_advisory_judge(find("b71138fcc362"), host, &result);
	ck_assert_int_eq(result.status, NM_ADVISORY_FIXED);
	ck_assert_int_eq(result.by, NM_BY_CHANGELOG);
	nm_advisory_judge(find("69b721a86d0d"), host, &result);
	ck_assert_int_eq(result.status, NM_ADVISORY_AFFECTED);
	nestmig_host_free(host);
}
END_TEST

START_TEST(renders)
{
	struct nestmig_host *host = profile("'vendor':'amd','kernel':'6.1.174'");
	size_t counts[NM_ADVISORY_STATUSES], total = 0;
	char *some = NULL, *all = NULL, *json = NULL;

	ck_assert(!nm_advisories_text(host, false, counts, &some));
	ck_assert(!nm_advisories_text(host, true, NULL, &all));
	ck_assert(!nm_advisories_json(host, NULL, &json));
	for (int i = 0; i < NM_ADVISORY_STATUSES; i++)
		total += counts[i];
	ck_assert_uint_gt(total, 60);
	ck_assert_uint_lt(total, nm_advisory_count);
	ck_assert_ptr_nonnull(strstr(some, "affected     03bee264f8eb  CVE-2026-45987"));
	ck_assert_ptr_null(strstr(some, "fixed        "));
	ck_assert_ptr_nonnull(strstr(all, "fixed        "));
	ck_assert_ptr_nonnull(strstr(json, "\"schema\":\"nestmig.host-advisories/1\""));
	free(some);
	free(all);
	free(json);
	nestmig_host_free(host);
}
END_TEST

#define ROWS(list) (int)(sizeof(list) / sizeof((list)[0]))

int main(void)
{
	Suite *suite = suite_create("host-advisories");
	TCase *tc = tcase_create("advisories");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, probes);
	tcase_add_test(tc, table);
	tcase_add_loop_test(tc, decision, 0, ROWS(decisions));
	tcase_add_test(tc, vendors);
	tcase_add_loop_test(tc, changelog, 0, ROWS(changelogs));
	tcase_add_test(tc, changelog_of_debian);
	tcase_add_test(tc, renders);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
