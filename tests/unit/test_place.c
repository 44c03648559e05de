// SPDX-License-Identifier: GPL-2.0-or-later
/* Placement says the same as judging for each host alone. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "place.h"

#define HOSTS 64

static struct nestmig_host *load(const char *name)
{
	struct nestmig_host *host = NULL;
	struct nestmig_detail detail;

	ck_assert_msg(!nestmig_host_load(name, &host, &detail), "%s", detail.text);
	return host;
}

static struct nestmig_state *read_dump(const char *name)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail;

	ck_assert_msg(!nestmig_state_read(name, 0, &state, &detail), "%s", detail.text);
	return state;
}

/* xorshift64 */
static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Hosts that differ in what rules ask of one; some do not say. */
static void vary(struct nestmig_host *host, size_t i)
{
	static const uint32_t kernels[] = {NESTMIG_KERNEL(6, 1), NESTMIG_KERNEL(6, 12),
					   NESTMIG_KERNEL(7, 1), 0};
	struct nestmig_host_view *view = &host->view;

	view->kernel = kernels[i % 4];
	view->nested = i % 5 != 0;
	view->npt = view->ept = i % 3 != 0;
	view->unrestricted_guest = i % 2;
	view->cpuid.word[NESTMIG_CPUID_7_0_EBX] ^= (uint32_t)i << 7;
	if (i % 7 == 0)
		view->have &= ~NESTMIG_HAVE(HOST_CPUID);
	if (i % 11 == 0)
		view->have &= ~NESTMIG_HAVE(HOST_PARAMS);
}

static void make_hosts(struct nestmig_host *hosts[HOSTS])
{
	for (size_t i = 0; i < HOSTS; i++) {
		hosts[i] = load(i % 2 ? TESTS_DIR "/cases/host-intel-6.1/expected.json"
				      : TESTS_DIR "/cases/host-amd-6.1/expected.json");
		vary(hosts[i], i / 2);
	}
}

/* Bits of what a vCPU has, and items that are gone. */
static void damage(struct nestmig_state *state, const struct nestmig_vcpu_view *whole,
		   uint64_t *seed)
{
	struct nestmig_vcpu_view *v = &state->vcpus[0].view;

	*v = *whole;
	switch (next(seed) % 6) {
	case 0:
		v->sregs.cr0 ^= UINT64_C(1) << next(seed) % 64;
		break;
	case 1:
		v->sregs.cr4 ^= UINT64_C(1) << next(seed) % 32;
		break;
	case 2:
		v->sregs.efer ^= UINT64_C(1) << next(seed) % 20;
		break;
	case 3:
		v->nested.flags ^= (uint16_t)(1U << next(seed) % 10);
		break;
	case 4:
		v->have &= ~(UINT64_C(1) << next(seed) % NESTMIG_ITEM_HOST_KERNEL);
		break;
	default:
		v->events.exc_nr = (uint8_t)next(seed);
		break;
	}
}

static bool has_error(const struct nm_vcpu_report *vcpu, const struct nm_rule *rule)
{
	for (size_t i = 0; i < vcpu->finding_count; i++)
		if (vcpu->findings[i].rule == rule)
			return vcpu->findings[i].severity == NM_SEVERITY_ERROR;
	return false;
}

static void compare(const struct nestmig_state *state, const struct nestmig_host *host,
		    const struct nm_placement *placement)
{
	struct nestmig_report *report = NULL;

	ck_assert(!nestmig_judge(state, host, &report));
	ck_assert_uint_eq(placement->verdict, report->verdict);
	ck_assert_uint_eq(placement->vcpu, report->vcpus[0].id);
	ck_assert_uint_eq(placement->outcome, report->vcpus[0].outcome);
	ck_assert_int_eq(placement->rule != UINT32_MAX, report->verdict == NESTMIG_VERDICT_FAIL);
	if (placement->rule != UINT32_MAX)
		ck_assert(has_error(&report->vcpus[0], &nm_rules[placement->rule]));
	ck_assert_int_eq(placement->undecided > 0, report->verdict == NESTMIG_VERDICT_UNKNOWN);
	nestmig_report_free(report);
}

START_TEST(says_the_same_as_judging)
{
	static const char *const dumps[] = {TESTS_DIR "/cases/raw-dump",
					    TESTS_DIR "/cases/raw-dump-vmx",
					    TESTS_DIR "/cases/smm-l2"};
	struct nestmig_state *state = read_dump(dumps[_i]);
	struct nestmig_vcpu_view whole = state->vcpus[0].view;
	unsigned verdicts[3] = {0};
	struct nestmig_host *hosts[HOSTS];
	uint64_t seed = 1;

	make_hosts(hosts);
	for (size_t round = 0; round < 100; round++) {
		struct nm_placer *placer = NULL;

		if (round)
			damage(state, &whole, &seed);
		ck_assert(!nm_placer_new(state, &placer));
		for (size_t i = 0; i < HOSTS; i++) {
			struct nm_placement placement;

			nm_place(placer, &hosts[i]->view, &placement);
			compare(state, hosts[i], &placement);
			verdicts[placement.verdict]++;
		}
		nm_placer_free(placer);
	}
	ck_assert_uint_gt(verdicts[NESTMIG_VERDICT_UNKNOWN], 0);
	ck_assert_uint_gt(verdicts[NESTMIG_VERDICT_FAIL], 100);
	state->vcpus[0].view = whole;
	nestmig_state_free(state);
	for (size_t i = 0; i < HOSTS; i++)
		nestmig_host_free(hosts[i]);
}
END_TEST

/* The worst of several vCPUs is told, and a file without one says nothing. */
START_TEST(the_worst_vcpu_decides)
{
	struct nestmig_state *state = read_dump(TESTS_DIR "/cases/raw-dump");
	struct nestmig_host *host = load(TESTS_DIR "/cases/host-amd-6.1/expected.json");
	struct nm_vcpu *own = state->vcpus, vcpus[3] = {*own, *own, *own};
	struct nm_placer *placer = NULL;
	struct nm_placement placement;

	vcpus[1].id = 1;
	vcpus[2].id = 2;
	vcpus[0].view.have &= ~NESTMIG_HAVE(SREGS);
	vcpus[2].view.sregs.cr0 = UINT64_C(1) << 40;
	state->vcpus = vcpus;
	state->vcpu_count = 3;
	ck_assert(!nm_placer_new(state, &placer));
	nm_place(placer, &host->view, &placement);
	ck_assert_uint_eq(placement.verdict, NESTMIG_VERDICT_FAIL);
	ck_assert_uint_eq(placement.vcpu, 2);
	nm_placer_free(placer);
	state->vcpu_count = 0;
	ck_assert(!nm_placer_new(state, &placer));
	nm_place(placer, &host->view, &placement);
	ck_assert_uint_eq(placement.verdict, NESTMIG_VERDICT_UNKNOWN);
	ck_assert_uint_eq(placement.vcpu, UINT32_MAX);
	nm_placer_free(placer);
	state->vcpus = own;
	state->vcpu_count = 1;
	nestmig_state_free(state);
	nestmig_host_free(host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("place");
	TCase *tests = tcase_create("place");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, says_the_same_as_judging, 0, 3);
	tcase_add_test(tests, the_worst_vcpu_decides);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
