// SPDX-License-Identifier: GPL-2.0-or-later
/* The vmdesc at the end of a full stream: it gives sizes, and it may lie. */
#include <jansson.h>

#include "stream.h"

/* The JSON in full1, and before it 00, 06 and be32 length. */
#define FULL1_JSON 755143

static struct stream s;
static json_t *root;

static void setup(void)
{
	s = (struct stream){0};
	root = NULL;
}

static void teardown(void)
{
	stream_free(&s);
	json_decref(root);
}

/* ---- full1 with another vmdesc ----------------------------------------------------------------- */

static void load(void)
{
	json_error_t error;

	s = genuine("full1");
	ck_assert_int_eq(s.p[FULL1_JSON - 6], 0);
	ck_assert_int_eq(s.p[FULL1_JSON - 5], 6);
	ck_assert_uint_eq(nm_be32(s.p + FULL1_JSON - 4), s.size - FULL1_JSON);
	root = json_loadb((const char *)s.p + FULL1_JSON, s.size - FULL1_JSON, 0, &error);
	ck_assert_ptr_nonnull(root);
}

static json_t *device(const char *name)
{
	json_t *devices = json_object_get(root, "devices"), *json;
	size_t i;

	json_array_foreach (devices, i, json) {
		if (strcmp(json_string_value(json_object_get(json, "name")), name) == 0)
			return json;
	}
	ck_abort_msg("no %s", name);
	return NULL;
}

static void set_text(const char *text, size_t size)
{
	s.size = FULL1_JSON - 4;
	put_be(&s, size, 4);
	put(&s, text, size);
}

static void store(void)
{
	char *text = json_dumps(root, JSON_COMPACT);

	ck_assert_ptr_nonnull(text);
	set_text(text, strlen(text));
	free(text);
}

/* The first field of a device. */
static json_t *first_field(const char *name)
{
	return json_array_get(json_object_get(device(name), "fields"), 0);
}

START_TEST(written_again_it_still_fits)
{
	struct nestmig_state *state;

	load();
	store();
	state = must_read(&s);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	nestmig_state_free(state);
}
END_TEST

static const struct {
	const char *device;
	json_int_t size, array_len;
	enum nestmig_error error;
} lies[] = {
	{"cpu", 9, 16, NESTMIG_ERR_FORMAT},
	{"cpu", 7, 16, NESTMIG_ERR_FORMAT},
	{"cpu", 8, 17, NESTMIG_ERR_FORMAT},
	{"cpu", 0, 0, NESTMIG_ERR_FORMAT},
	{"cpu", 8, -16, NESTMIG_ERR_FORMAT},
	{"cpu", -8, 16, NESTMIG_ERR_FORMAT},
	{"cpu", -8, -16, NESTMIG_ERR_FORMAT},
	{"cpu", INT64_MAX, 1, NESTMIG_ERR_FORMAT},
	{"cpu", INT64_MIN, 1, NESTMIG_ERR_FORMAT},
	{"cpu", INT64_C(1) << 32, INT64_C(1) << 32, NESTMIG_ERR_FORMAT},
	{"cpu", INT64_C(1) << 39, 1, NESTMIG_ERR_FORMAT},
	{"cpu", 750000, 1, NESTMIG_ERR_FORMAT},
	{"cpu", 60000000, 1, NESTMIG_ERR_FORMAT},
	{"apic", 8, 1, NESTMIG_ERR_FORMAT},
	{"globalstate", 1000000, 1, NESTMIG_ERR_FORMAT},
	{"cpu_common", 5, 1, NESTMIG_ERR_FORMAT},
};

START_TEST(sizes_that_are_wrong_are_refused)
{
	json_t *field;

	load();
	field = first_field(lies[_i].device);
	json_object_set_new(field, "size", json_integer(lies[_i].size));
	json_object_set_new(field, "array_len", json_integer(lies[_i].array_len));
	store();
	must_refuse(&s, lies[_i].error, "");
}
END_TEST

static const char *const not_numbers[] = {"\"8\"", "null", "[8]", "8.0", "true", "{}"};

START_TEST(sizes_that_are_no_numbers_are_refused)
{
	load();
	json_object_set_new(first_field("cpu"), "size",
			    json_loads(not_numbers[_i], JSON_DECODE_ANY, NULL));
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

/* What a device must have, and what its header in the stream must agree with. */
static const struct {
	const char *key, *value;
} keys[] = {
	{"name", "null"},
	{"name", "3"},
	{"name", "\"cpv\""},
	{"name", "\"\""},
	{"instance_id", "1"},
	{"instance_id", "-1"},
	{"instance_id", "4294967296"},
	{"version", "11"},
	{"version", "-12"},
	{"version", "4294967308"},
	{"fields", "[]"},
	{"fields", "{}"},
	{"fields", "null"},
	{"subsections", "[]"},
	{"subsections", "[3]"},
	{"subsections", "[{}]"},
	{"subsections", "7"},
};

START_TEST(keys_of_a_device)
{
	load();
	json_object_set_new(device("cpu"), keys[_i].key,
			    json_loads(keys[_i].value, JSON_DECODE_ANY, NULL));
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

START_TEST(a_name_of_256_bytes_is_refused)
{
	char name[300];

	load();
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	json_object_set_new(device("cpu"), "name", json_string(name));
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

/* A device too much, one too few, two in the wrong order. */
START_TEST(the_chain_of_devices_must_hold)
{
	json_t *devices;

	load();
	devices = json_object_get(root, "devices");
	json_array_append(devices, device("apic"));
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "apic");
	json_array_remove(devices, json_array_size(devices) - 1);
	json_array_remove(devices, json_array_size(devices) - 1);
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

START_TEST(a_cpu_that_the_vmdesc_does_not_list_is_missed)
{
	json_t *devices, *json;
	size_t i;

	load();
	devices = json_object_get(root, "devices");
	json_array_foreach (devices, i, json) {
		if (json == device("cpu"))
			break;
	}
	json_array_remove(devices, i);
	store();
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

/* ---- Other texts ------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	enum nestmig_error error;
} texts[] = {
	{"{}", NESTMIG_ERR_FORMAT},
	{"{", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":{}}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":null}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":\"cpu\"}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[1]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[[]]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[{}]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[],\"devices\":[]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[{\"name\":\"c\\u0000pu\"}]}", NESTMIG_ERR_FORMAT},
	{"{\"devices\":[{\"name\":\"\xff\xfe\"}]}", NESTMIG_ERR_FORMAT},
	{"{}x", NESTMIG_ERR_FORMAT},
	{"{}\n\n{}", NESTMIG_ERR_FORMAT},
	/* Not found at all, for it does not start as an object. */
	{"[]", NESTMIG_ERR_FORMAT},
	{"", NESTMIG_ERR_FORMAT},
	{" {}", NESTMIG_ERR_FORMAT},
};

START_TEST(a_text_that_is_no_vmdesc_is_refused)
{
	struct nestmig_detail detail;

	s = genuine("full1");
	set_text(texts[_i].text, strlen(texts[_i].text));
	detail = must_refuse(&s, texts[_i].error, "vmdesc");
	ck_assert(detail.has_offset);
	ck_assert_uint_ge(detail.offset, FULL1_JSON);
	ck_assert_uint_le(detail.offset, s.size);
}
END_TEST

START_TEST(a_length_that_is_wrong_is_refused)
{
	uint32_t length;

	s = genuine("full1");
	length = nm_be32(s.p + FULL1_JSON - 4);
	set_be(s.p + FULL1_JSON - 4, length - 1, 4);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "bytes follow the vmdesc");
	set_be(s.p + FULL1_JSON - 4, length + 1, 4);
	must_refuse(&s, NESTMIG_ERR_TRUNCATED, "vmdesc");
	set_be(s.p + FULL1_JSON - 4, UINT32_MAX, 4);
	must_refuse(&s, NESTMIG_ERR_TRUNCATED, "vmdesc");
}
END_TEST

/* text repeated, between two others. */
static void set_repeated(const char *before, const char *text, size_t times, const char *after)
{
	struct stream json = {0};

	put(&json, before, strlen(before));
	for (size_t i = 0; i < times; i++)
		put(&json, text, strlen(text));
	put(&json, after, strlen(after));
	s = genuine("full1");
	set_text((const char *)json.p, json.size);
	stream_free(&json);
}

START_TEST(deep_nesting_is_refused)
{
	/* Of any JSON, */
	set_repeated("{\"devices\":", "[", 100000, "");
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
	stream_free(&s);
	/* and of subsections that could be sized. */
	set_repeated("{\"devices\":[{\"name\":\"cpu\",\"version\":12,\"subsections\":[",
		     "{\"vmsd_name\":\"a\",\"subsections\":[", 500, "");
	for (int i = 0; i < 500; i++)
		put(&s, "]}", 2);
	put(&s, "]}]}", 4);
	set_be(s.p + FULL1_JSON - 4, s.size - FULL1_JSON, 4);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "device 0");
}
END_TEST

START_TEST(many_devices_are_refused)
{
	set_repeated("{\"devices\":[", "{\"name\":\"a\",\"version\":1},", 99999,
		     "{\"name\":\"a\",\"version\":1}]}");
	must_refuse(&s, NESTMIG_ERR_FORMAT, "100000 devices");
}
END_TEST

/* Sizes that overflow only when they are added. */
START_TEST(sums_that_overflow_are_refused)
{
	set_repeated("{\"devices\":[{\"name\":\"a\",\"version\":1,\"fields\":[",
		     "{\"size\":1099511627775},", 1000, "{\"size\":1}]}]}");
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

/* ---- Made streams ----------------------------------------------------------------------------- */

static const char common_json[] =
	"{\"name\":\"cpu_common\",\"instance_id\":0,\"version\":1,\"fields\":[{\"size\":8}]}";

/* All of section "ram" of a VM without RAM. */
static void put_ram(struct stream *out)
{
	put_section(out, 1, 2, "ram", 0, 4);
	put_be(out, 0x04, 8);
	put_be(out, 0x10, 8);
	put_footer(out, 2);
	put_be(out, 3, 1);
	put_be(out, 2, 4);
	put_be(out, 0x10, 8);
	put_footer(out, 2);
}

static void put_common(struct stream *out)
{
	put_section(out, 4, 4, "cpu_common", 0, 1);
	put_be(out, 0, 8);
	put_footer(out, 4);
}

static void put_vmdesc(struct stream *out, const char *text)
{
	put_be(out, 0x0006, 2);
	put_be(out, strlen(text), 4);
	put(out, text, strlen(text));
}

START_TEST(an_unknown_subsection_is_passed_by_its_size)
{
	struct nestmig_state *state;
	size_t end, cpu;
	char text[1000];

	put_file_header(&s);
	put_ram(&s);
	put_common(&s);
	put_section(&s, 4, 5, "cpu", 0, 12);
	cpu = s.size;
	put_cpu_fixed(&s);
	set_be(s.p + cpu + 144, 1U << 21, 4);
	put_subsection(&s, "cpu/of_the_future");
	put_fill(&s, 5, 20);
	put_subsection(&s, "cpu/of_the_future/more");
	put_fill(&s, 5, 10);
	put_nested_svm(&s, 0x101, 0x113000);
	put_footer(&s, 5);
	snprintf(text, sizeof(text),
		 "{\"devices\":[%s,{\"name\":\"cpu\",\"instance_id\":0,\"version\":12,\"fields\":"
		 "[{\"size\":%d}],\"subsections\":[{\"vmsd_name\":"
		 "\"cpu/of_the_future\",\"fields\":[{\"size\":5,\"array_len\":4}],\"subsections\":"
		 "[{\"vmsd_name\":\"cpu/of_the_future/more\",\"fields\":[{\"size\":10}]}]},"
		 "{\"vmsd_name\":\"cpu/nested_state\",\"fields\":[{\"size\":%d}]}]}]}",
		 common_json, CPU_FIXED, 8 + 30 + 8 + 4096);
	end = s.size;
	put_vmdesc(&s, text);
	state = must_read(&s);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	nestmig_state_free(state);
	/* A size that hides nested state: outside of guest mode nothing else would miss it. */
	s.size = end;
	set_be(s.p + cpu + 144, 0, 4);
	snprintf(text, sizeof(text),
		 "{\"devices\":[%s,{\"name\":\"cpu\",\"instance_id\":0,\"version\":12,\"fields\":"
		 "[{\"size\":%d}],\"subsections\":[{\"vmsd_name\":"
		 "\"cpu/of_the_future\",\"fields\":[{\"size\":%d}]}]}]}",
		 common_json, CPU_FIXED, 20 + 28 + 10 + 22 + 8 + 30 + 8 + 4096);
	put_vmdesc(&s, text);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "nested state inside");
}
END_TEST

/* A device of the same name whose vmdesc says that it is longer than its subsections. */
START_TEST(bytes_that_belong_to_no_subsection_are_refused)
{
	char text[500];
	size_t end;

	put_file_header(&s);
	put_ram(&s);
	put_common(&s);
	put_section(&s, 4, 5, "cpu", 0, 12);
	put_cpu_fixed(&s);
	put_fill(&s, 0, 3);
	put_footer(&s, 5);
	snprintf(text, sizeof(text),
		 "{\"devices\":[%s,{\"name\":\"cpu\",\"version\":12,\"fields\":[{\"size\":%d}]}]}",
		 common_json, CPU_FIXED + 3);
	end = s.size;
	put_vmdesc(&s, text);
	must_refuse(&s, NESTMIG_ERR_UNSUPPORTED, "known are 1817");
	s.size = end;
	snprintf(text, sizeof(text),
		 "{\"devices\":[%s,{\"name\":\"cpu\",\"version\":12,\"fields\":[{\"size\":%d}],"
		 "\"subsections\":[{\"vmsd_name\":\"\",\"fields\":[]}]}]}",
		 common_json, CPU_FIXED);
	s.size -= 5;
	put_fill(&s, 0, 3);
	put_footer(&s, 5);
	put_vmdesc(&s, text);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "6 bytes that belong to no");
}
END_TEST

/* A device may hold what looks like the end of a stream with a vmdesc, or like a vCPU: neither is
 * taken where a device stands, but the device may also be shorter than the vmdesc says. */
START_TEST(what_stands_in_a_device_is_not_taken)
{
	struct stream forged = {0};
	struct nestmig_state *state;
	char text[500];

	put_section(&forged, 4, 77, "cpu", 1, 12);
	put_cpu_fixed(&forged);
	put_footer(&forged, 77);
	put_vmdesc(&forged, "{\"devices\":[{\"name\":\"cpu\",\"instance_id\":1,\"version\":12}]}");
	put_file_header(&s);
	put_ram(&s);
	put_common(&s);
	put_section(&s, 4, 5, "cpu", 0, 12);
	put_cpu_fixed(&s);
	put_footer(&s, 5);
	put_section(&s, 4, 6, "disk", 0, 1);
	put(&s, forged.p, forged.size);
	put_footer(&s, 6);
	snprintf(text, sizeof(text),
		 "{\"devices\":[%s,{\"name\":\"cpu\",\"version\":12,\"fields\":[{\"size\":%d}]},"
		 "{\"name\":\"disk\",\"version\":1,\"fields\":[{\"size\":%zu}]}]}",
		 common_json, CPU_FIXED, forged.size);
	put_vmdesc(&s, text);
	state = must_read(&s);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	ck_assert_uint_eq(state->vcpus[0].id, 0);
	ck_assert_uint_gt(state->ram.unread, 0);
	ck_assert_ptr_nonnull(strstr(state->ram.unread_why, "\"cpu\" seems to start here"));
	nestmig_state_free(state);
	stream_free(&forged);
}
END_TEST

/* Devices that are set up early come first in the vmdesc, but stand before RAM. */
START_TEST(an_early_device_stands_before_ram)
{
	struct nestmig_state *state;
	char text[500];

	put_file_header(&s);
	put_section(&s, 4, 1, "virtio-mem", 0, 1);
	put_fill(&s, 0, 64);
	put_footer(&s, 1);
	put_ram(&s);
	put_common(&s);
	put_section(&s, 4, 5, "cpu", 0, 12);
	put_cpu_fixed(&s);
	put_footer(&s, 5);
	snprintf(text, sizeof(text),
		 "{\"devices\":[{\"name\":\"virtio-mem\",\"version\":1,\"fields\":[{\"size\":64}]},"
		 "%s,{\"name\":\"cpu\",\"version\":12,\"fields\":[{\"size\":%d}]}]}",
		 common_json, CPU_FIXED);
	put_vmdesc(&s, text);
	state = must_read(&s);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	nestmig_state_free(state);
	/* Its size is that of the vmdesc, and RAM starts behind it. */
	s.p[8 + 14 + 10 + 64] = 0;
	must_refuse(&s, NESTMIG_ERR_FORMAT, "");
	s.p[8 + 14 + 10 + 64] = 0x7e;
	s.p[8 + 6] = 'w';
	must_refuse(&s, NESTMIG_ERR_FORMAT, "lists next");
	stream_free(&s);
	/* It is not anywhere else. */
	put_file_header(&s);
	put_ram(&s);
	put_common(&s);
	put_section(&s, 4, 5, "cpu", 0, 12);
	put_cpu_fixed(&s);
	put_footer(&s, 5);
	put_vmdesc(&s, text);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "virtio-mem");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_vmdesc");
	TCase *tcase = tcase_create("qemu_vmdesc");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, written_again_it_still_fits);
	tcase_add_loop_test(tcase, sizes_that_are_wrong_are_refused, 0,
			    sizeof(lies) / sizeof(lies[0]));
	tcase_add_loop_test(tcase, sizes_that_are_no_numbers_are_refused, 0,
			    sizeof(not_numbers) / sizeof(not_numbers[0]));
	tcase_add_loop_test(tcase, keys_of_a_device, 0, sizeof(keys) / sizeof(keys[0]));
	tcase_add_test(tcase, a_name_of_256_bytes_is_refused);
	tcase_add_test(tcase, the_chain_of_devices_must_hold);
	tcase_add_test(tcase, a_cpu_that_the_vmdesc_does_not_list_is_missed);
	tcase_add_loop_test(tcase, a_text_that_is_no_vmdesc_is_refused, 0,
			    sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tcase, a_length_that_is_wrong_is_refused);
	tcase_add_test(tcase, deep_nesting_is_refused);
	tcase_add_test(tcase, many_devices_are_refused);
	tcase_add_test(tcase, sums_that_overflow_are_refused);
	tcase_add_test(tcase, an_unknown_subsection_is_passed_by_its_size);
	tcase_add_test(tcase, bytes_that_belong_to_no_subsection_are_refused);
	tcase_add_test(tcase, what_stands_in_a_device_is_not_taken);
	tcase_add_test(tcase, an_early_device_stands_before_ram);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
