// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of the guard: from the bytes that the kernel sends to text and JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "guard_event.h"
#include "stream.h"

#define MONOTONIC 1500000000 /* ns */
#define ESCAPE    "\033"

static const struct guard_reader amd = {.vendor = NESTMIG_VENDOR_AMD,
					.epoch = INT64_C(1767225600000000000)};

/* A nested state with ASID 0, on an AMD host with kernel 6.1. */
static struct nm_guard_record record;

static void setup(void)
{
	struct nestmig_flat_ctx *ctx = &record.judged.ctx;

	memset(&record, 0, sizeof(record));
	record.event = (struct nm_guard_event){.time = MONOTONIC,
					       .vm = 3,
					       .vcpu = 1,
					       .vmm = 100,
					       .pid = 200,
					       .tid = 201,
					       .hook = NM_GUARD_SET_NESTED_STATE,
					       .action = NM_GUARD_DENIED,
					       .comm = "CPU 1/KVM"};
	ctx->h[0].vendor = NESTMIG_VENDOR_AMD;
	ctx->h[0].kernel = NESTMIG_KERNEL(6, 1);
	ctx->h[0].have = NESTMIG_HAVE(HOST_KERNEL);
	ctx->v[0].vendor = NESTMIG_VENDOR_AMD;
	ctx->v[0].have = NESTMIG_HAVE(NESTED) | NESTMIG_HAVE(VMCB12);
	ctx->v[0].nested.format = KVMNS_FORMAT_SVM;
	ctx->v[0].nested.flags = KVMNS_GUEST_MODE;
}

static unsigned rule(const char *id)
{
	const struct nm_rule *found = nm_rule_find(id);

	ck_assert_ptr_nonnull(found);
	return (unsigned)(found - nm_rules);
}

static void break_rule(const char *id)
{
	record.judged.broken[rule(id) / 64] |= UINT64_C(1) << (rule(id) % 64);
}

static struct guard_told *tell(const struct nm_guard_record *with, const char *name, bool advisory)
{
	struct guard_told *told;

	ck_assert_int_eq(guard_told_new(&amd, &record.event, with, name, advisory, &told),
			 NESTMIG_OK);
	return told;
}

static char *text_of(const struct nm_guard_record *with, const char *name, bool advisory)
{
	struct guard_told *told = tell(with, name, advisory);
	char *text;

	ck_assert_int_eq(guard_told_text(told, false, &text), NESTMIG_OK);
	guard_told_free(told);
	return text;
}

static json_t *json_of(const struct nm_guard_record *with, const char *name, bool advisory)
{
	struct guard_told *told = tell(with, name, advisory);
	json_t *json;
	char *text;

	ck_assert_int_eq(guard_told_json(told, &text), NESTMIG_OK);
	ck_assert_int_eq(strcspn(text, "\n"), strlen(text) - 1);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(json);
	guard_told_free(told);
	free(text);
	return json;
}

static const char *string(const json_t *json, const char *name)
{
	const char *found = json_string_value(json_object_get(json, name));

	return found ? found : "(none)";
}

static const char *word(const struct nm_guard_record *with)
{
	struct guard_told *told = tell(with, NULL, false);
	const char *name = guard_word_name(told->word);

	guard_told_free(told);
	return name;
}

START_TEST(denied_as_text)
{
	char *text;

	break_rule("svm-ctl-asid-zero");
	text = text_of(&record, "qemu-system-x86", false);
	ck_assert_msg(strstr(text,
			     "2026-01-01T00:00:01.500000000Z denied qemu-system-x86 (PID 200, "
			     "thread 201), VM 3, vCPU 1 in L1: KVM_SET_NESTED_STATE fails with "
			     "EINVAL: svm-ctl-asid-zero\n  error svm-ctl-asid-zero\n      Does "
			     "not hold: ") == text,
		      "%s", text);
	ck_assert_msg(strstr(text, "\n      vmcb12.control.asid = 0x00000000\n") != NULL, "%s",
		      text);
	ck_assert_msg(strstr(text, "not in the file") == NULL, "%s", text);
	free(text);
}
END_TEST

START_TEST(denied_as_json)
{
	json_t *json, *rules;

	break_rule("svm-ctl-asid-zero");
	json = json_of(&record, "qemu-system-x86", false);
	rules = json_object_get(json, "rules");
	ck_assert_str_eq(string(json, "schema"), "nestmig.guard-event/1");
	ck_assert_str_eq(string(json, "event"), "denied");
	ck_assert_str_eq(string(json, "action"), "denied");
	ck_assert_str_eq(string(json, "ioctl"), "KVM_SET_NESTED_STATE");
	ck_assert_str_eq(string(json, "vmm"), "qemu-system-x86");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "vm")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "vm_pid")), 100);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "tid")), 201);
	ck_assert_int_eq(json_array_size(rules), 1);
	ck_assert_str_eq(string(json_array_get(rules, 0), "id"), "svm-ctl-asid-zero");
	ck_assert_str_eq(string(json_object_get(json, "values"), "vmcb12.control.asid"), "0x0");
	ck_assert(json_is_null(json_object_get(json, "l1")));
	json_decref(json);
}
END_TEST

/* Names are untrusted; without one the thread's from the event is taken, which need not end. */
static const struct {
	const char *name, *shown;
} names[] = {
	{"a" ESCAPE "[31mb", "a?[31mb"},
	{"new\nline", "new"},
	{"\xc2\x9b"
	 "31m",
	 "??31m"},
	{"\xff\xfe", "??"},
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	{"0123456789abcdefghij", "0123456789abcde"},
	{NULL, "XXXXXXXXXXXXXXX"},
};

START_TEST(a_name_cannot_steer_a_terminal)
{
	json_t *json;
	char *text;

	memset(record.event.comm, 'X', sizeof(record.event.comm));
	json = json_of(NULL, names[_i].name, false);
	text = text_of(NULL, names[_i].name, false);
	ck_assert_msg(!strncmp(string(json, "vmm"), names[_i].shown, strlen(names[_i].shown)), "%s",
		      string(json, "vmm"));
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_nonnull(strstr(text, names[_i].shown));
	json_decref(json);
	free(text);
}
END_TEST

START_TEST(audit_tells_what_would_be_denied)
{
	json_t *json;

	record.event.action = NM_GUARD_TOLD;
	break_rule("svm-ctl-asid-zero");
	json = json_of(&record, NULL, false);
	ck_assert_str_eq(string(json, "event"), "would-deny");
	ck_assert_str_eq(string(json, "action"), "audited");
	json_decref(json);
}
END_TEST

static uint16_t stuffed(enum nm_guard_stuffed kind)
{
	return (uint16_t)(1 << (NM_GUARD_STUFFED_SHIFT + kind));
}

/* L2's CS may still come by KVM_SET_SREGS; at KVM_RUN it is too late for that, if anything brought it. */
START_TEST(what_a_later_ioctl_may_mend_is_not_denied)
{
	record.event.action = NM_GUARD_TOLD;
	break_rule("svm-l2-csld");
	ck_assert_str_eq(word(&record), "broken");
	record.event.hook = NM_GUARD_KVM_RUN;
	ck_assert_str_eq(word(&record), "broken");
	record.event.flags = stuffed(NM_GUARD_STUFFED_EVENTS);
	ck_assert_str_eq(word(&record), "broken");
	record.event.flags |= stuffed(NM_GUARD_STUFFED_SREGS);
	ck_assert_str_eq(word(&record), "would-deny");
	record.event.flags = NM_GUARD_RACED;
	ck_assert_str_eq(word(&record), "raced");
}
END_TEST

START_TEST(exits_have_words)
{
	record.event.action = NM_GUARD_TOLD;
	record.event.hook = NM_GUARD_NESTED_EXIT;
	record.event.exit_code = 0x7f;
	ck_assert_str_eq(word(NULL), "triple-fault");
	record.event.exit_code = UINT64_MAX;
	ck_assert_str_eq(word(NULL), "vmexit-invalid");
	record.event.exit_code = 0x61;
	ck_assert_str_eq(word(NULL), "exit");
	record.event.hook = NM_GUARD_ENTRY_FAILED;
	ck_assert_str_eq(word(NULL), "vmexit-invalid");
	record.event.hook = NM_GUARD_SMM_LEFT;
	ck_assert_str_eq(word(NULL), "rsm-broken");
	record.event.flags = NM_GUARD_FAILED;
	ck_assert_str_eq(word(NULL), "rsm-failed");
	record.event.hook = NM_GUARD_EPTP_SWITCHED;
	ck_assert_str_eq(word(NULL), "vmfunc");
	record.event.hook = 200;
	ck_assert_str_eq(word(NULL), "exit");
}
END_TEST

/* Consequences are those of a restore. */
START_TEST(what_l1_causes_has_no_outcome)
{
	json_t *json;
	char *text;

	record.event.action = NM_GUARD_TOLD;
	record.event.hook = NM_GUARD_ENTRY_FAILED;
	break_rule("svm-ctl-asid-zero");
	json = json_of(&record, NULL, false);
	text = text_of(&record, NULL, false);
	ck_assert_str_eq(string(json_array_get(json_object_get(json, "rules"), 0), "outcome"),
			 "(none)");
	ck_assert_ptr_null(strstr(text, "restored"));
	ck_assert_ptr_nonnull(strstr(text, "svm-ctl-asid-zero"));
	json_decref(json);
	free(text);
}
END_TEST

/* 6.1 leaves the high half of VMEXIT_INVALID clear. */
START_TEST(an_exit_that_is_not_as_prescribed)
{
	json_t *json, *l1;

	record.event.action = NM_GUARD_TOLD;
	record.event.hook = NM_GUARD_NESTED_EXIT;
	record.event.exit_code = UINT32_MAX;
	ck_assert(!guard_is_advisory(&record.event));
	record.event.flags = NM_GUARD_HIGH_HALF;
	ck_assert(guard_is_advisory(&record.event));
	json = json_of(NULL, NULL, true);
	l1 = json_object_get(json, "l1");
	ck_assert_str_eq(string(json, "event"), "advisory");
	ck_assert(json_is_null(json_object_get(json, "ioctl")));
	ck_assert_str_eq(string(l1, "exit_code"), "0xffffffff");
	ck_assert_str_eq(string(json_object_get(l1, "prescribed"), "exit_code"),
			 "0xffffffffffffffff");
	ck_assert_ptr_null(json_object_get(json_object_get(l1, "prescribed"), "exit_info_1"));
	json_decref(json);
}
END_TEST

/* A VMFUNC that fails is as it should be; KVM's triple fault for a switch to no memory is not. */
START_TEST(vmfunc_on_intel)
{
	struct guard_reader intel = {.vendor = NESTMIG_VENDOR_INTEL};
	struct guard_told *told;
	char *text;

	record.event.hook = NM_GUARD_EPTP_SWITCHED;
	record.event.flags = NM_GUARD_L2 | NM_GUARD_FAILED;
	record.event.exit_code = 59;
	record.event.exit_info[1] = 59;
	ck_assert(!guard_is_advisory(&record.event));
	record.event.flags = NM_GUARD_L2 | NM_GUARD_OTHER_EXIT;
	record.event.exit_code = 2;
	record.event.exit_info[0] = 0x10000005e;
	record.event.exit_info[1] = 48;
	ck_assert(guard_is_advisory(&record.event));
	ck_assert_int_eq(guard_told_new(&intel, &record.event, NULL, NULL, false, &told),
			 NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(told->sentence, "EPTP 0x10000005e"));
	ck_assert_int_eq(guard_told_text(told, false, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "L1 sees exit_reason 0x2; prescribed: 0x30"));
	free(text);
	guard_told_free(told);
}
END_TEST

START_TEST(vmfail_is_no_exit)
{
	struct guard_reader intel = {.vendor = NESTMIG_VENDOR_INTEL};
	struct guard_told *told;
	char *text;

	record.event.hook = NM_GUARD_ENTRY_FAILED;
	record.event.exit_code = 7;
	ck_assert_int_eq(guard_told_new(&intel, &record.event, NULL, NULL, false, &told),
			 NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(told->sentence, "VM-instruction error 7"));
	ck_assert_int_eq(guard_told_text(told, false, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "L1 sees vm_instruction_error 0x7"));
	free(text);
	guard_told_free(told);
}
END_TEST

START_TEST(smm_is_a_mode)
{
	struct guard_told *told;

	record.judged.ctx.v[0].have |= NESTMIG_HAVE(EVENTS);
	record.judged.ctx.v[0].events.smi_smm = 1;
	told = tell(&record, NULL, false);
	ck_assert_str_eq(told->mode, "SMM");
	guard_told_free(told);
}
END_TEST

/* Every rule can be told, whatever else is in the context. */
START_TEST(every_rule_can_be_told)
{
	json_t *json;
	char *text;

	memset(record.judged.broken, 0xff, sizeof(record.judged.broken));
	json = json_of(&record, NULL, false);
	text = text_of(&record, NULL, false);
	ck_assert_int_eq(json_array_size(json_object_get(json, "rules")), NESTMIG_RULES);
	json_decref(json);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard_event");
	TCase *tcase = tcase_create("guard_event");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, denied_as_text);
	tcase_add_test(tcase, denied_as_json);
	tcase_add_loop_test(tcase, a_name_cannot_steer_a_terminal, 0,
			    sizeof(names) / sizeof(names[0]));
	tcase_add_test(tcase, audit_tells_what_would_be_denied);
	tcase_add_test(tcase, what_a_later_ioctl_may_mend_is_not_denied);
	tcase_add_test(tcase, exits_have_words);
	tcase_add_test(tcase, what_l1_causes_has_no_outcome);
	tcase_add_test(tcase, an_exit_that_is_not_as_prescribed);
	tcase_add_test(tcase, vmfunc_on_intel);
	tcase_add_test(tcase, vmfail_is_no_exit);
	tcase_add_test(tcase, smm_is_a_mode);
	tcase_add_test(tcase, every_rule_can_be_told);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
