// SPDX-License-Identifier: GPL-2.0-or-later
/* Damaged QEMU streams: cut anywhere, one byte different anywhere, forged by the guest. */
#include "nestmig.h"
#include "stream.h"

/* Sections of dev1: those of the vCPU end here, and the last one is this. */
#define DEV1_VCPU_END    0x1982
#define DEV1_GLOBALSTATE 0x8f48

static struct stream s;

static void setup(void)
{
	s = (struct stream){0};
}

static void teardown(void)
{
	stream_free(&s);
}

/* dev1 without the devices between apic and globalstate: what is done at every byte takes time. */
static struct stream small(void)
{
	struct stream dev1 = genuine("dev1");

	replace(&dev1, DEV1_VCPU_END, DEV1_GLOBALSTATE - DEV1_VCPU_END, NULL, 0);
	return dev1;
}

/* ---- Cut -------------------------------------------------------------------------------------- */

static void refuse_cut(const struct stream *whole, size_t size)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = read_stream(whole->p, size, &state, &detail);

	ck_assert_msg(error == NESTMIG_ERR_TRUNCATED || error == NESTMIG_ERR_FORMAT ||
			      error == NESTMIG_ERR_UNSUPPORTED,
		      "%zu bytes: %s", size, nestmig_error_name(error));
	ck_assert_msg(detail.has_offset, "%zu bytes: no offset", size);
	ck_assert_msg(detail.offset <= size, "%zu bytes: offset %llu", size,
		      (unsigned long long)detail.offset);
	ck_assert_ptr_null(state);
}

START_TEST(a_device_stream_cut_anywhere_is_refused)
{
	s = small();
	for (size_t size = 0; size < s.size; size++)
		refuse_cut(&s, size);
	stream_free(&s);
	s = genuine("dev1");
	for (size_t size = DEV1_VCPU_END; size < s.size; size += 67)
		refuse_cut(&s, size);
}
END_TEST

START_TEST(a_full_stream_cut_anywhere_is_refused)
{
	static const size_t edges[] = {0, 8, 9, 13, 23, 24, 40, 0xaf5fb, 0xaf661, 0xafdb2, 0xb8600};

	s = genuine("full1");
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		refuse_cut(&s, edges[i]);
	for (size_t size = 64; size < s.size; size += 24989)
		refuse_cut(&s, size);
	for (size_t cut = 1; cut < 40; cut++)
		refuse_cut(&s, s.size - cut);
}
END_TEST

START_TEST(bytes_behind_the_end_are_refused)
{
	static const char *const streams[] = {"dev1", "l1only", "full1", "vmxdev1", "vmx1"};

	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		s = genuine(streams[i]);
		put_be(&s, 0, 1);
		must_refuse(&s, NESTMIG_ERR_FORMAT, "follow");
		s.p[s.size - 1] = '}';
		must_refuse(&s, NESTMIG_ERR_FORMAT, "follow");
		stream_free(&s);
	}
}
END_TEST

/* ---- One byte is different -------------------------------------------------------------------- */

/* Reads it and, if that works, uses everything. true if it was read. */
static bool use(const struct stream *stream)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error error = read_stream(stream->p, stream->size, &state, &detail);

	if (error) {
		ck_assert_str_ne(detail.text, "");
		ck_assert_ptr_null(state);
		return false;
	}
	for (size_t i = 0; i < nestmig_state_vcpu_count(state); i++)
		ck_assert_ptr_nonnull(nm_vcpu_mode(&state->vcpus[i]));
	nestmig_state_free(state);
	return true;
}

static void flip_range(size_t from, size_t to, size_t step)
{
	for (size_t at = from; at < to; at += step) {
		uint8_t is = s.p[at];

		s.p[at] = (uint8_t)(is ^ (1U << at % 8));
		use(&s);
		s.p[at] = (uint8_t)~is;
		use(&s);
		s.p[at] = is;
	}
	ck_assert(use(&s));
}

START_TEST(a_flip_anywhere_does_no_harm)
{
	s = small();
	flip_range(0, s.size, 1);
}
END_TEST

START_TEST(a_flip_in_the_other_devices_does_no_harm)
{
	s = genuine("dev1");
	flip_range(DEV1_VCPU_END, s.size, 53);
}
END_TEST

START_TEST(a_flip_in_a_full_stream_does_no_harm)
{
	s = genuine("full1");
	flip_range(0, 0x100, 3);
	flip_range(0xaf5fb, 0xaf680, 5);   /* timer, cpu_common, cpu */
	flip_range(0xafd7a, 0xafe00, 5);   /* subsections */
	flip_range(0xb85b0, 0xb8620, 5);   /* the start of the vmdesc */
	flip_range(0xb8620, s.size, 1499); /* its text */
	flip_range(s.size - 8, s.size, 1);
}
END_TEST

#define SMALL_SIZE (DEV1_VCPU_END + 36815 - DEV1_GLOBALSTATE)

/* Bytes of it without which it is no stream of one vCPU. */
static const struct {
	size_t at;
	size_t size;
	const char *what;
} structure[] = {
	{0x0, 8, "magic and version"},
	{0x8, 5, "type and id of section timer"},
	{0x33, 5, "footer of timer"},
	{0x38, 5, "type and id of cpu_common"},
	{0x58, 5, "footer of cpu_common"},
	{0x5d, 5, "type and id of cpu"},
	{0x62, 4, "name of cpu"},
	{0x6a, 4, "version of cpu"},
	{0x787, 17, "header of cpu/tsc_khz"},
	{0x7bf, 22, "header of cpu/nested_state"},
	{0x7dd, 30, "header of cpu/kvm_nested_state/svm"},
	{0x1803, 5, "footer of cpu"},
	{0x18b6, 5, "type and id of apic"},
	{SMALL_SIZE - 6, 6, "last footer and end"},
};

START_TEST(a_flip_in_the_structure_is_refused)
{
	s = small();
	ck_assert_uint_eq(s.size, SMALL_SIZE);
	for (size_t i = 0; i < sizeof(structure) / sizeof(structure[0]); i++)
		for (size_t at = structure[i].at; at < structure[i].at + structure[i].size; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				s.p[at] ^= (uint8_t)(1U << bit);
				ck_assert_msg(!use(&s), "%s: byte %zu, bit %u", structure[i].what,
					      at, bit);
				s.p[at] ^= (uint8_t)(1U << bit);
			}
}
END_TEST

/* A vCPU whose section has another name is no vCPU that may be forgotten. */
START_TEST(a_vcpu_is_not_lost)
{
	s = genuine("dev2");
	ck_assert_mem_eq(s.p + 0x19b8 - 11, "cpu", 3);
	s.p[0x19b8 - 11] = 'b';
	must_refuse(&s, NESTMIG_ERR_FORMAT, "cpu_common");
}
END_TEST

/* ---- Made and forged -------------------------------------------------------------------------- */

static void put_common(struct stream *out, uint32_t id, uint32_t instance)
{
	put_section(out, 4, id, "cpu_common", instance, 1);
	put_be(out, 0, 8);
	put_footer(out, id);
}

/* Two sections: cpu_common has this id and 100000 more. */
static void put_vcpu(struct stream *out, uint32_t id, uint32_t instance)
{
	put_common(out, id + 100000, instance);
	put_section(out, 4, id, "cpu", instance, 12);
	put_cpu_fixed(out);
	put_footer(out, id);
}

START_TEST(a_vcpu_twice_is_refused)
{
	put_file_header(&s);
	put_vcpu(&s, 1, 0);
	put_vcpu(&s, 2, 0);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "twice");
}
END_TEST

START_TEST(an_id_twice_is_refused)
{
	put_file_header(&s);
	put_vcpu(&s, 1, 0);
	put_vcpu(&s, 1, 1);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "id 1");
}
END_TEST

START_TEST(no_vcpu_is_refused)
{
	put_file_header(&s);
	put_section(&s, 4, 1, "timer", 0, 2);
	put_be(&s, 0, 8);
	put_footer(&s, 1);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_UNSUPPORTED, "no section \"cpu\"");
	stream_free(&s);
	/* Another architecture has a section of the same name and other content. */
	put_file_header(&s);
	put_section(&s, 4, 1, "cpu", 0, 22);
	put_fill(&s, 0, 4000);
	put_footer(&s, 1);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_UNSUPPORTED, "version 22");
}
END_TEST

START_TEST(vcpus_are_limited)
{
	put_file_header(&s);
	for (uint32_t i = 0; i < 4097; i++)
		put_vcpu(&s, i, 4096 - i);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_LIMIT, "4096");
}
END_TEST

START_TEST(vcpus_come_in_order_of_index)
{
	struct nestmig_state *state;

	put_file_header(&s);
	put_vcpu(&s, 1, 7);
	put_vcpu(&s, 2, 0);
	put_vcpu(&s, 3, 0x80000000);
	put_vcpu(&s, 4, 2);
	put_be(&s, 0, 1);
	state = must_read(&s);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 4);
	ck_assert_uint_eq(state->vcpus[0].id, 0);
	ck_assert_uint_eq(state->vcpus[1].id, 2);
	ck_assert_uint_eq(state->vcpus[2].id, 7);
	ck_assert_uint_eq(state->vcpus[3].id, 0x80000000);
	nestmig_state_free(state);
}
END_TEST

/* A device whose content the guest writes: it holds what looks like the end of its section, a vCPU
 * and the start of another section, so that what follows fits again. */
START_TEST(a_vcpu_inside_of_a_device_is_refused)
{
	put_file_header(&s);
	put_vcpu(&s, 1, 0);
	put_section(&s, 4, 9, "disk", 0, 1);
	put_fill(&s, 0xaa, 100);
	put_footer(&s, 9);
	put_vcpu(&s, 10, 1);
	put_section(&s, 4, 9, "rest", 0, 1);
	put_fill(&s, 0xbb, 100);
	put_footer(&s, 9);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "id 9");
}
END_TEST

START_TEST(a_header_inside_of_a_device_is_refused)
{
	put_file_header(&s);
	put_section(&s, 4, 9, "disk", 0, 1);
	put_vcpu(&s, 10, 1); /* without the footer of "disk" before it */
	put_footer(&s, 8);
	put_section(&s, 4, 8, "cpu", 2, 12);
	put_footer(&s, 9);
	put_vcpu(&s, 1, 0);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "\"cpu\" seems to start here");
}
END_TEST

START_TEST(sections_without_names_are_refused)
{
	put_file_header(&s);
	put_section(&s, 4, 1, "", 0, 1);
	put_footer(&s, 1);
	put_be(&s, 0, 1);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "no device section");
	s.p[8 + 5] = 255; /* longer than what is left */
	must_refuse(&s, NESTMIG_ERR_FORMAT, "no device section");
}
END_TEST

START_TEST(names_in_messages_are_safe)
{
	struct nestmig_detail detail;

	put_file_header(&s);
	put_section(&s, 4, 1, "a\033[2J\nb", 0, 1);
	put_fill(&s, 0, 100);
	detail = must_refuse(&s, NESTMIG_ERR_TRUNCATED, "a?[2J?b");
	for (const char *p = detail.text; *p; p++)
		ck_assert_int_ge(*p, ' ');
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_damage");
	TCase *tcase = tcase_create("qemu_damage");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_device_stream_cut_anywhere_is_refused);
	tcase_add_test(tcase, a_full_stream_cut_anywhere_is_refused);
	tcase_add_test(tcase, bytes_behind_the_end_are_refused);
	tcase_add_test(tcase, a_flip_anywhere_does_no_harm);
	tcase_add_test(tcase, a_flip_in_the_other_devices_does_no_harm);
	tcase_add_test(tcase, a_flip_in_a_full_stream_does_no_harm);
	tcase_add_test(tcase, a_flip_in_the_structure_is_refused);
	tcase_add_test(tcase, a_vcpu_is_not_lost);
	tcase_add_test(tcase, a_vcpu_twice_is_refused);
	tcase_add_test(tcase, an_id_twice_is_refused);
	tcase_add_test(tcase, no_vcpu_is_refused);
	tcase_add_test(tcase, vcpus_are_limited);
	tcase_add_test(tcase, vcpus_come_in_order_of_index);
	tcase_add_test(tcase, a_vcpu_inside_of_a_device_is_refused);
	tcase_add_test(tcase, a_header_inside_of_a_device_is_refused);
	tcase_add_test(tcase, sections_without_names_are_refused);
	tcase_add_test(tcase, names_in_messages_are_safe);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
