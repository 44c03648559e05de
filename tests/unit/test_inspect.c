// SPDX-License-Identifier: GPL-2.0-or-later
/* The decode as text and as JSON. */
#include <jansson.h>

#include "dump_dir.h"

static struct nestmig_state *state;
static char *text;
static json_t *root;

static void setup(void)
{
	state = NULL;
	text = NULL;
	root = NULL;
	dump_make();
}

static void teardown(void)
{
	nestmig_state_free(state);
	free(text);
	json_decref(root);
	dir_remove();
}

/* Reads a stream that was written under a name. */
static void read_as(const char *name, const struct stream *s)
{
	struct nestmig_detail detail = {0};

	write_in_dir(name, s->p, s->size);
	ck_ok(nestmig_state_read(in_dir(name), 0, &state, &detail), detail);
}

static void read_genuine(const char *name)
{
	struct stream s = genuine(name);

	read_as("file", &s);
	stream_free(&s);
}

static void make_text(bool colour)
{
	free(text);
	ck_assert_int_eq(nestmig_inspect_text(state, colour, &text), NESTMIG_OK);
}

static void make_json(void)
{
	json_error_t error;

	free(text);
	ck_assert_int_eq(nestmig_inspect_json(state, &text), NESTMIG_OK);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(root != NULL, "%s", error.text);
	/* One line. */
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}

static void says(const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "no \"%s\"", what);
}

static void says_not(const char *what)
{
	ck_assert_msg(strstr(text, what) == NULL, "\"%s\" is there", what);
}

static const char *string_at(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void check_fields(size_t index)
{
	const json_t *json = json_array_get(json_object_get(root, "vcpus"), index);
	const json_t *fields = json_object_get(json, "fields");
	const struct nm_vcpu *vcpu = &state->vcpus[index];

	ck_assert_int_eq(json_integer_value(json_object_get(json, "id")), vcpu->id);
	ck_assert_str_eq(string_at(json, "mode"), nm_vcpu_mode(vcpu));
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		const json_t *is = json_object_get(fields, field->name);
		uint64_t offset;
		char hex[24];

		if (!nm_vcpu_has(vcpu, UINT64_C(1) << field->item) || field->kvm_width > 8) {
			ck_assert_msg(is == NULL, "%s", field->name);
			continue;
		}
		snprintf(hex, sizeof(hex), "0x%llx",
			 (unsigned long long)nm_field_value(vcpu, field));
		ck_assert_msg(is != NULL, "no %s", field->name);
		ck_assert_str_eq(string_at(is, "value"), hex);
		offset = nm_field_offset(vcpu, field, NULL, NULL);
		if (offset == UINT64_MAX)
			ck_assert_ptr_null(json_object_get(is, "offset"));
		else
			ck_assert_int_eq(json_integer_value(json_object_get(is, "offset")),
					 (json_int_t)offset);
	}
	ck_assert_uint_gt(json_array_size(json_object_get(json, "items")), 0);
}

static const char *const inputs[] = {"dev1", "dev2", "l1only", "full1", "full2", "vmx1", NULL};

START_TEST(json_has_every_field)
{
	if (inputs[_i])
		read_genuine(inputs[_i]);
	else
		state = must_read_dir();
	make_json();
	ck_assert_str_eq(string_at(root, "schema"), "nestmig.inspect/1");
	ck_assert_str_eq(string_at(root, "format"), nestmig_state_format(state));
	ck_assert_uint_eq(json_array_size(json_object_get(root, "vcpus")),
			  nestmig_state_vcpu_count(state));
	for (size_t i = 0; i < nestmig_state_vcpu_count(state); i++)
		check_fields(i);
}
END_TEST

START_TEST(json_says_what_is_not_known)
{
	read_genuine("l1only");
	make_json();
	ck_assert(json_is_null(json_object_get(root, "vendor")));
	ck_assert(json_is_null(json_object_get(root, "machine")));
	says_not("vmcb12");
	says_not("events.exception_error_code");
}
END_TEST

START_TEST(json_names_bits)
{
	read_genuine("full1");
	make_json();
	ck_assert_str_eq(string_at(root, "vendor"), "amd");
	ck_assert_str_eq(string_at(root, "machine"), "pc-q35-7.2");
	says("\"bits\":[\"PE\",\"MP\",\"ET\",\"NE\",\"WP\",\"PG\"]");
	says("\"bits\":[\"GUEST_MODE\",\"GIF_SET\"]");
}
END_TEST

/* ---- Text ------------------------------------------------------------------------------------- */

START_TEST(text_names_bits)
{
	static const char *const words[] = {
		"qemu-stream, amd, 1 vCPU, machine pc-q35-7.2",
		"vCPU 0: L2",
		"format SVM",
		"GUEST_MODE GIF_SET",
		"PE MP ET NE WP PG",
		"PAE OSFXSR OSXMMEXCPT",
		"LME LMA SVME",
		"CPUID HLT SHUTDOWN",
		"VMRUN",
		"0x0000000000113000",
		"L1's own state, not L2's",
		"more fields are zero",
		"unusable",
		"events\n    none",
	};

	read_genuine("full1");
	make_text(false);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		says(words[i]);
	says_not("\033");
	make_text(true);
	says("\033[1m");
}
END_TEST

START_TEST(text_of_a_vcpu_that_is_not_nested)
{
	read_genuine("l1only");
	make_text(false);
	says("vendor not known, 1 vCPU\n");
	says("vCPU 0: L1\n");
	says("no nested state in the file");
	says_not("vmcb12");
}
END_TEST

START_TEST(text_of_flags_that_are_overridden)
{
	struct stream s = genuine("dev1");

	s.p[0x6e + 876 + 3] &= (uint8_t)~1;
	read_as("file", &s);
	stream_free(&s);
	make_text(false);
	says("the file says 0x0101");
	says("flags 0x0001  GUEST_MODE\n");
}
END_TEST

START_TEST(text_of_events)
{
	struct stream s = genuine("dev1");

	set_be(s.p + 0x6e + 1165, 14, 4); /* exception_nr */
	s.p[0x6e + 1172] = 1;             /* has_error_code */
	set_be(s.p + 0x6e + 1149, 0x31, 4);
	s.p[0x6e + 1170] = 1; /* nmi_injected */
	set_be(s.p + 0x54, 0x440, 4);
	read_as("file", &s);
	stream_free(&s);
	make_text(false);
	says("exception 14 injected, with an error code that is not in the file");
	says("interrupt 0x31 injected");
	says("NMI injected");
	says("SMI pending");
	says("INIT latched");
}
END_TEST

/* ---- Hostile names ---------------------------------------------------------------------------- */

static bool has_control(const char *line)
{
	for (; *line; line++)
		if (((unsigned char)*line < 0x20 && *line != '\n') || *line == 0x7f)
			return true;
	return false;
}

START_TEST(a_hostile_file_name_is_made_safe)
{
	struct stream s = genuine("dev1");

	read_as("a\033]0;x\007\nvCPU 9: L1\x7f\xff\xfe", &s);
	stream_free(&s);
	make_text(false);
	ck_assert(!has_control(text));
	says("a?]0;x??vCPU 9: L1?");
	/* JSON writers escape what is below 0x20. */
	make_json();
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_nonnull(strstr(string_at(root, "file"), "vCPU 9: L1\x7f??"));
}
END_TEST

START_TEST(a_hostile_machine_name_is_made_safe)
{
	struct stream s = genuine("full1");

	memcpy(s.p + 0xd, "\033[31m\"}\n\xff\x9b", 10);
	read_as("file", &s);
	stream_free(&s);
	make_text(false);
	ck_assert(!has_control(text));
	says("machine ?[31m\"}???\n");
	make_json();
	ck_assert_str_eq(string_at(root, "machine"), "?[31m\"}???");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inspect");
	TCase *tcase = tcase_create("inspect");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, json_has_every_field, 0, sizeof(inputs) / sizeof(inputs[0]));
	tcase_add_test(tcase, json_says_what_is_not_known);
	tcase_add_test(tcase, json_names_bits);
	tcase_add_test(tcase, text_names_bits);
	tcase_add_test(tcase, text_of_a_vcpu_that_is_not_nested);
	tcase_add_test(tcase, text_of_flags_that_are_overridden);
	tcase_add_test(tcase, text_of_events);
	tcase_add_test(tcase, a_hostile_file_name_is_made_safe);
	tcase_add_test(tcase, a_hostile_machine_name_is_made_safe);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
