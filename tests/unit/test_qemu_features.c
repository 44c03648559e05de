// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest's CPUID from what QEMU tells over QMP. */
#include "qemu_features.h"
#include "stream.h"

static struct nm_vcpu vcpu;

static void setup(void)
{
	memset(&vcpu, 0, sizeof(vcpu));
}

static enum nestmig_error take(const char *text, size_t size, struct nestmig_detail *detail)
{
	struct nm_origin origin = {.offset = 77, .size = size, .bytes = (const uint8_t *)text};

	return nm_qemu_features_text(&vcpu, origin, detail);
}

static void must_take(const char *text)
{
	struct nestmig_detail detail = {0};

	ck_ok(take(text, strlen(text), &detail), detail);
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(CPUID)));
}

static bool is_known(enum nestmig_cpuid_word word)
{
	return vcpu.view.cpuid.have >> word & 1;
}

START_TEST(the_genuine_words)
{
	static const struct {
		enum nestmig_cpuid_word word;
		uint32_t value;
	} expected[] = {
		{NESTMIG_CPUID_1_ECX, 4160238083},
		{NESTMIG_CPUID_1_EDX, 260832253},
		{NESTMIG_CPUID_7_0_EBX, 26739627},
		{NESTMIG_CPUID_7_0_ECX, 66060},
		{NESTMIG_CPUID_7_0_EDX, 536870912},
		{NESTMIG_CPUID_7_1_EAX, 0},
		{NESTMIG_CPUID_D_1_EAX, 5},
		{NESTMIG_CPUID_80000001_ECX, 119},
		{NESTMIG_CPUID_80000001_EDX, 3990092797},
		{NESTMIG_CPUID_80000008_EBX, 67108864},
		{NESTMIG_CPUID_8000000A_EDX, 268501025},
		{NESTMIG_CPUID_80000008_EAX, 40},
	};
	struct stream text = read_case("streams/cpu.json");
	struct nestmig_detail detail = {0};

	ck_ok(take((const char *)text.p, text.size, &detail), detail);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		ck_assert_msg(is_known(expected[i].word), "word %d", (int)expected[i].word);
		ck_assert_msg(vcpu.view.cpuid.word[expected[i].word] == expected[i].value,
			      "word %d: 0x%x", (int)expected[i].word,
			      vcpu.view.cpuid.word[expected[i].word]);
	}
	/* QEMU 7.2 does not tell these. */
	ck_assert(!is_known(NESTMIG_CPUID_8000000A_EBX));
	ck_assert(!is_known(NESTMIG_CPUID_80000021_EAX));
	/* There are words, but no entries as KVM_SET_CPUID2 takes them. */
	ck_assert_uint_eq(vcpu.cpuid_count, 0);
	stream_free(&text);
}
END_TEST

START_TEST(what_is_not_named_stays_unknown)
{
	must_take("{\"feature-words\":[{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":1,"
		  "\"features\":7}],\"phys-bits\":0}");
	ck_assert_uint_eq(vcpu.view.cpuid.have, 1U << NESTMIG_CPUID_1_EDX);
	/* What there was is replaced. */
	must_take("{\"feature-words\":[]}");
	ck_assert_uint_eq(vcpu.view.cpuid.have, 0);
}
END_TEST

START_TEST(the_index_and_the_register_count)
{
	must_take("{\"feature-words\":["
		  "{\"cpuid-register\":\"EAX\",\"cpuid-input-eax\":7,\"cpuid-input-ecx\":1,"
		  "\"features\":1},"
		  "{\"cpuid-register\":\"EBX\",\"cpuid-input-eax\":7,\"cpuid-input-ecx\":2,"
		  "\"features\":2},"
		  "{\"cpuid-register\":\"ESI\",\"cpuid-input-eax\":7,\"features\":3},"
		  "{\"cpuid-register\":\"EAX\",\"cpuid-input-eax\":4294967303,\"features\":4}]}");
	ck_assert_uint_eq(vcpu.view.cpuid.have, 1U << NESTMIG_CPUID_7_1_EAX);
	ck_assert_uint_eq(vcpu.view.cpuid.word[NESTMIG_CPUID_7_1_EAX], 1);
}
END_TEST

static const char *const bad[] = {
	"",
	"[]",
	"{}",
	"{\"feature-words\":3}",
	"{\"feature-words\":{}}",
	"{\"feature-words\":[1]}",
	"{\"feature-words\":[{}]}",
	"{\"feature-words\":[{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":1}]}",
	"{\"feature-words\":[{\"cpuid-register\":\"EDX\",\"features\":1}]}",
	"{\"feature-words\":[{\"cpuid-input-eax\":1,\"features\":1}]}",
	"{\"feature-words\":[{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":1,\"features\":-1}]}",
	"{\"feature-words\":[{\"cpuid-register\":\"EDX\",\"cpuid-input-eax\":1,\"features\":1e3}]}",
	("{\"feature-words\":[{\"cpuid-register\":\"E\",\"cpuid-input-eax\":1,\"features\":"
	 "4294967296}]}"),
	"{\"feature-words\":[],\"feature-words\":[]}",
	"{\"feature-words\":[]",
};

START_TEST(broken_records_are_refused)
{
	struct nestmig_detail detail = {0};

	vcpu.view.cpuid.have = 5;
	ck_assert_int_eq(take(bad[_i], strlen(bad[_i]), &detail), NESTMIG_ERR_FORMAT);
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, 77);
	ck_assert(!nm_vcpu_has(&vcpu, NESTMIG_HAVE(CPUID)));
	ck_assert_uint_eq(vcpu.view.cpuid.have, 5);
}
END_TEST

START_TEST(the_inverse)
{
	struct stream text = read_case("streams/cpu.json");
	struct nestmig_detail detail = {0};
	struct nestmig_cpuid before;
	char *again = NULL;

	ck_ok(take((const char *)text.p, text.size, &detail), detail);
	before = vcpu.view.cpuid;
	ck_assert_int_eq(nm_qemu_features_format(&vcpu, &again), NESTMIG_OK);
	setup();
	must_take(again);
	ck_assert_mem_eq(&vcpu.view.cpuid, &before, sizeof(before));
	free(again);
	stream_free(&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_features");
	TCase *tcase = tcase_create("qemu_features");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, the_genuine_words);
	tcase_add_test(tcase, the_inverse);
	tcase_add_test(tcase, what_is_not_named_stays_unknown);
	tcase_add_test(tcase, the_index_and_the_register_count);
	tcase_add_loop_test(tcase, broken_records_are_refused, 0, sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
