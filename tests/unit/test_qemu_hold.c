// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing in a stream makes a state ok that was not judged: what is there twice, too long, too short or in
 * between is named. Built by stream_new.h; each with a vmdesc and without one.
 */
#include "judge.h"
#include "reader.h"
#include "stream_new.h"

#define NOWHERE UINT64_MAX

static struct maker m;

static void setup(void)
{
	m = (struct maker){0};
}

static void teardown(void)
{
	maker_free(&m);
}

static void again(void)
{
	maker_free(&m);
	setup();
}

static void begin(void)
{
	make_head(&m, "pc-q35-10.1");
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, NOWHERE, 0);
}

static void end(bool vmdesc)
{
	if (vmdesc)
		make_end(&m);
	else
		put_be(&m.s, 0, 1);
}

/* ---- Sections ---------------------------------------------------------------------------------- */

/* A second section with another id. */
static const struct {
	const char *name, *says;
	uint32_t instance;
} seconds[] = {
	{"apic", "\"apic\" of instance 0 is there twice", 0},
	{"apic", "1 vCPUs, but 2 sections \"apic\"", 1},
	{"cpu_common", "\"cpu_common\" of instance 0 is there twice", 0},
	{"cpu_common", "none \"cpu\"", 1},
	{"globalstate", "\"globalstate\" of instance 0 is there twice", 0},
	{"timer", "\"timer\" of instance 0 is there twice", 0},
};

START_TEST(a_section_twice)
{
	for (int vmdesc = 0; vmdesc < 2; vmdesc++) {
		begin();
		make_devices(&m);
		make_instance(&m, 99, seconds[_i].name, seconds[_i].instance, 1);
		put_fill(&m.s, 0x11, 181);
		make_device_end(&m, 99, 0, "");
		end(vmdesc);
		must_refuse(&m.s, NESTMIG_ERR_FORMAT, seconds[_i].says);
		again();
	}
}
END_TEST

/* Both of its sections again, under other ids. */
START_TEST(a_vcpu_twice)
{
	begin();
	make_devices(&m);
	make_filled(&m, 91, "cpu_common", 8);
	make_device(&m, 92, "cpu", 12);
	put_cpu_fixed(&m.s);
	make_device_end(&m, 92, 0, "");
	end(_i);
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "twice");
}
END_TEST

/* Bytes between sections: _i bytes at a place. */
static const char *const fillers[] = {"\x00", "\x11", "\x7e", "\x08\x00\x0b\x00\x00",
				      "\x7e\x00\x00\x00\x02"};
static const size_t filler_sizes[] = {1, 1, 1, 5, 5};

START_TEST(bytes_between_sections)
{
	size_t at[4];

	for (int vmdesc = 0; vmdesc < 2; vmdesc++) {
		for (unsigned i = 0; i < 4; i++) {
			begin();
			make_devices(&m);
			at[0] = m.devices;                    /* RAM | apic */
			at[1] = m.devices + 14 + 4 + 181 + 5; /* apic | timer */
			at[2] = m.cpu - 17;                   /* cpu_common | cpu */
			at[3] = m.s.size;                     /* globalstate | end */
			end(vmdesc);
			replace(&m.s, at[i], 0, fillers[_i], filler_sizes[_i]);
			/* A command may stand behind RAM. */
			if (!vmdesc && i == 0 && _i == 3) {
				nestmig_state_free(must_read(&m.s));
			} else {
				struct nestmig_state *none = NULL;
				struct nestmig_detail detail = {0};

				ck_assert_msg(read_stream(m.s.p, m.s.size, &none, &detail) !=
						      NESTMIG_OK,
					      "filler %d at place %u, vmdesc %d", _i, i, vmdesc);
			}
			again();
		}
	}
}
END_TEST

/* ---- Subsections ------------------------------------------------------------------------------- */

static struct nestmig_detail refuse_cpu(const struct stream *more, enum nestmig_error error,
					const char *says)
{
	struct nestmig_detail detail;

	begin();
	make_devices(&m);
	end(false);
	replace(&m.s, m.cpu + CPU_FIXED + 22 + 8 + 30 + 8 + 4096, 0, more->p, more->size);
	detail = must_refuse(&m.s, error, says);
	ck_assert_uint_ge(detail.offset, m.cpu + CPU_FIXED);
	return detail;
}

static const struct {
	const char *first, *second;
	size_t size; /* of the fields of both */
	const char *says;
} twice[] = {
	{"cpu/nested_state", NULL, 8, "\"cpu/nested_state\" twice"},
	{"cpu/kvm_nested_state/svm", NULL, 4104, "\"cpu/kvm_nested_state/svm\" twice"},
	{"cpu/kvm_nested_state/vmx", NULL, 18, "format 1, but subsection cpu/kvm_nested_state/vmx"},
	{"cpu/tsc_khz", "cpu/tsc_khz", 8, "\"cpu/tsc_khz\" twice"},
	{"cpu/pdptrs", "cpu/pdptrs", 32, "\"cpu/pdptrs\" twice"},
	{"cpu/exception_info", "cpu/exception_info", 11, "\"cpu/exception_info\" twice"},
	{"cpu/error_code", "cpu/error_code", 4, "\"cpu/error_code\" twice"},
	{"cpu/triple_fault", "cpu/triple_fault", 1, "\"cpu/triple_fault\" twice"},
	{"cpu/msr_ia32_feature_control", "cpu/msr_ia32_feature_control", 8, "twice"},
};

START_TEST(a_subsection_twice)
{
	struct stream more = {0};

	put_subsection(&more, twice[_i].first);
	put_fill(&more, 1, twice[_i].size);
	if (twice[_i].second) {
		put_subsection(&more, twice[_i].second);
		put_fill(&more, 0, twice[_i].size);
	}
	refuse_cpu(&more, NESTMIG_ERR_FORMAT, twice[_i].says);
	stream_free(&more);
}
END_TEST

START_TEST(an_unknown_subsection)
{
	static const char *const names[] = {"cpu/of_the_future", "cpu/kvm_nested_state/other"};
	struct stream more = {0};

	put_subsection(&more, names[_i]);
	put_fill(&more, 0, 8);
	refuse_cpu(&more, NESTMIG_ERR_UNSUPPORTED, "unknown subsection");
	stream_free(&more);
}
END_TEST

/* ---- The end ----------------------------------------------------------------------------------- */

/* O_DIRECT pads with zeros to a multiple of 512 bytes. */
START_TEST(padding)
{
	size_t size;

	begin();
	make_devices(&m);
	end(_i);
	size = m.s.size;
	if (size % 512 == 0)
		put_fill(&m.s, 0, 1);
	put_fill(&m.s, 0, 512 - m.s.size % 512);
	nestmig_state_free(must_read(&m.s));
	put_fill(&m.s, 0, 4096);
	nestmig_state_free(must_read(&m.s));
	/* Not to anything else, and with nothing else. */
	m.s.size--;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "follow");
	m.s.size++;
	m.s.p[size + 3] = 1;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "follow");
	m.s.p[size + 3] = 0;
	m.s.p[m.s.size - 1] = 1;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "follow");
	m.s.p[m.s.size - 1] = '}';
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "follow");
}
END_TEST

START_TEST(a_vmdesc_that_is_cut)
{
	struct nestmig_detail detail;
	size_t start;

	begin();
	make_devices(&m);
	start = m.s.size;
	end(true);
	while (m.s.size > start + 2) {
		m.s.size--;
		detail = must_refuse(&m.s, NESTMIG_ERR_TRUNCATED, "vmdesc");
		ck_assert_uint_eq(detail.offset, m.s.size);
	}
}
END_TEST

/* ---- RAM that is passed over ------------------------------------------------------------------- */

static struct nestmig_state *read_with(const struct stream *s, unsigned flags,
				       enum nestmig_error expected)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	struct nm_source *source = NULL;
	enum nestmig_error error = nm_source_memory(s->p, s->size, &source, &detail);

	if (!error)
		error = nm_state_read_source(source, "two", flags, NULL, &state, &detail);
	ck_assert_msg(error == expected, "%s: %s", nestmig_error_name(error), detail.text);
	return state;
}

/* Nothing of it is ok, and it is said why. */
static void must_be_unknown(const struct nestmig_state *state, const char *says)
{
	struct nestmig_report *report = NULL;
	char *text = NULL, *json = NULL;

	ck_assert_uint_gt(state->ram.unread, 0);
	ck_assert_int_eq(nestmig_judge(state, NULL, &report), NESTMIG_OK);
	ck_assert_int_ne(report->verdict, NESTMIG_VERDICT_OK);
	for (size_t i = 0; i < report->vcpu_count; i++) {
		ck_assert_int_ne(report->vcpus[i].verdict, NESTMIG_VERDICT_OK);
		ck_assert(!report->vcpus[i].is_certain);
	}
	ck_assert_int_eq(nestmig_report_text(report, "file", false, &text), NESTMIG_OK);
	ck_assert_msg(strstr(text, says) != NULL, "\"%s\" not in %s", says, text);
	ck_assert_int_eq(nestmig_report_json(report, "file", &json), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(json, state->ram.unread_why
						   ? "\"unknown\":[\"stream-not-understood\"]"
						   : "\"unknown\":[\"stream-ram-passed-over\"]"));
	free(text);
	free(json);
	nestmig_report_free(report);
}

/* One stream behind another, or its devices behind something that looks like the end of RAM: QEMU would load the
 * first. _i: with more pages than a quick look passes. */
START_TEST(two_streams)
{
	struct nestmig_state *state;
	struct nm_page page = {.gpa = 0x5000};
	struct nestmig_detail detail = {0};
	struct stream first = {0};
	size_t devices;

	make_head(&m, "pc-q35-10.1");
	make_ram(&m);
	for (int i = 0; i < (_i ? 1100 : 2); i++)
		make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	end(true);
	put(&first, m.s.p, m.s.size);
	devices = m.devices;
	make_part(&m, 3, NOWHERE, 0);
	put(&m.s, first.p + devices, first.size - devices);
	detail = must_refuse(&m.s, NESTMIG_ERR_FORMAT, "something else starts here");
	ck_assert_uint_eq(detail.offset, devices);
	state = read_with(&m.s, NESTMIG_READ_QUICK, _i ? NESTMIG_OK : NESTMIG_ERR_FORMAT);
	if (_i) {
		must_be_unknown(state, "without --quick");
		ck_assert_int_eq(state->find_pages(state, &page, 1, &detail), NESTMIG_ERR_FORMAT);
		ck_assert_uint_eq(detail.offset, devices);
		ck_assert_int_eq(page.kind, NM_PAGE_ABSENT);
	}
	nestmig_state_free(state);
	m.s.size = first.size;
	put(&m.s, first.p, first.size);
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "something else starts here");
	stream_free(&first);
}
END_TEST

/* A good one of each size is as good as before, and is passed over whole. */
START_TEST(all_of_ram_is_passed)
{
	struct nestmig_state *state;

	make_head(&m, "pc-q35-10.1");
	make_ram(&m);
	for (int i = 0; i < 1100; i++)
		make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	end(true);
	state = read_with(&m.s, 0, NESTMIG_OK);
	ck_assert_uint_eq(state->ram.unread, 0);
	nestmig_state_free(state);
}
END_TEST

/* Before RAM, and among its parts. */
START_TEST(what_is_not_understood_is_not_ok)
{
	static const uint8_t command[] = {8, 0, 99, 0, 0},
			     record[] = {2, 0, 0, 0, ID_RAM, 0, 0, 0, 0, 0, 0, 8, 0};
	struct nestmig_state *state;

	make_head(&m, "pc-q35-10.1");
	if (_i)
		make_ram(&m);
	put(&m.s, _i ? record : command, _i ? sizeof(record) : sizeof(command));
	if (!_i)
		make_ram(&m);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	end(true);
	state = read_with(&m.s, 0, NESTMIG_OK);
	must_be_unknown(state,
			_i ? ": no record of RAM that is known" : ": command 99 is not known.");
	nestmig_state_free(state);
}
END_TEST

/* ---- Lengths that are not true ------------------------------------------------------------------ */

/* Footer, command and vCPU stand in what the vmdesc, or a second footer, makes one section. */
START_TEST(a_section_with_a_vcpu_inside)
{
	static const uint8_t ping[] = {8, 0, 2, 0, 4, 1, 2, 3, 4};
	struct nestmig_state *state;
	struct nestmig_detail detail;
	size_t described, start, hidden;

	begin();
	make_device(&m, 77, "longer", 1);
	start = m.device;
	described = m.vmdesc.size;
	put_fill(&m.s, 0x11, 24);
	make_footer(&m, 77);
	put(&m.s, ping, sizeof(ping));
	hidden = m.s.size;
	make_devices(&m);
	m.devices = start - 14 - strlen("longer");
	m.device = start;
	m.vmdesc.size = described;
	make_device_end(&m, 77, 0, "");
	make_apic(&m);
	make_cpu(&m);
	end(_i);
	if (!_i) {
		detail = must_refuse(&m.s, NESTMIG_ERR_FORMAT, "seems to start here");
		ck_assert_uint_ge(detail.offset, hidden);
		return;
	}
	state = read_with(&m.s, 0, NESTMIG_OK);
	must_be_unknown(state, "seems to start here");
	nestmig_state_free(state);
}
END_TEST

/* _i: with a vmdesc; as long as QEMU takes it to be, or not. */
START_TEST(a_device_before_ram)
{
	bool is_known = _i & 2;
	struct nestmig_state *state;

	make_head(&m, "pc-q35-10.1");
	make_ram(&m);
	make_device(&m, ID_EARLY, "0000:00:03.0/virtio-mem-device-early", 1);
	put_be(&m.s, 0x140000000, 8);
	put_be(&m.s, 65 * 0x200000, 8);
	put_be(&m.s, 0x200000, 8);
	put_fill(&m.s, 0, 12 + (is_known ? 16 : 8));
	make_device_end(&m, ID_EARLY, 0, "");
	make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	end(_i & 1);
	state = read_with(&m.s, 0, NESTMIG_OK);
	if (is_known)
		ck_assert_uint_eq(state->ram.unread, 0);
	else
		must_be_unknown(state, "virtio-mem-device-early\" is before RAM");
	nestmig_state_free(state);
}
END_TEST

/* ---- One byte is different --------------------------------------------------------------------- */

/* What is read is used: under a sanitizer this would show what is read past the end. */
START_TEST(a_flip_anywhere_does_no_harm)
{
	make_head(&m, "pc-q35-10.1");
	make_ram(&m);
	make_bitmaps(&m, 1);
	make_bitmaps(&m, 3);
	make_part(&m, 3, NOWHERE, 0);
	make_devices(&m);
	end(_i);
	for (size_t at = 0; at < m.s.size; at += at < m.cpu || at > m.cpu + CPU_FIXED ? 1 : 37) {
		uint8_t is = m.s.p[at];

		for (unsigned n = 0; n < 3; n++) {
			struct nestmig_state *state = NULL;
			struct nestmig_detail detail = {0};

			m.s.p[at] = n == 0   ? (uint8_t)(is ^ 1U << at % 8)
				    : n == 1 ? (uint8_t)~is
					     : (uint8_t)(is + 1);
			if (read_stream(m.s.p, m.s.size, &state, &detail) == NESTMIG_OK)
				nestmig_state_free(state);
			else
				ck_assert_str_ne(detail.text, "");
		}
		m.s.p[at] = is;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_hold");
	TCase *tcase = tcase_create("qemu_hold");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, a_section_twice, 0, sizeof(seconds) / sizeof(seconds[0]));
	tcase_add_loop_test(tcase, a_vcpu_twice, 0, 2);
	tcase_add_loop_test(tcase, bytes_between_sections, 0, 5);
	tcase_add_loop_test(tcase, a_subsection_twice, 0, sizeof(twice) / sizeof(twice[0]));
	tcase_add_loop_test(tcase, an_unknown_subsection, 0, 2);
	tcase_add_loop_test(tcase, padding, 0, 2);
	tcase_add_test(tcase, a_vmdesc_that_is_cut);
	tcase_add_loop_test(tcase, two_streams, 0, 2);
	tcase_add_test(tcase, all_of_ram_is_passed);
	tcase_add_loop_test(tcase, what_is_not_understood_is_not_ok, 0, 2);
	tcase_add_loop_test(tcase, a_section_with_a_vcpu_inside, 0, 2);
	tcase_add_loop_test(tcase, a_device_before_ram, 0, 4);
	tcase_add_loop_test(tcase, a_flip_anywhere_does_no_harm, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
