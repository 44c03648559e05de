// SPDX-License-Identifier: GPL-2.0-or-later
/* libvirt's save images: every format in both byte orders, every lie of the header, every cut. */
#include "libvirt.h"
#include "packed.h"

#define FORMATS 7

/* Reads an image from memory. *ret_state stays NULL on failure. */
static enum nestmig_error read_image(const struct stream *s, struct nestmig_state **ret_state,
				     struct nestmig_detail *detail)
{
	struct nestmig_state *state = NULL;
	struct nm_source *source = NULL;
	enum nestmig_error error = nm_state_new("test", NULL, &state, detail);

	if (!error)
		error = nm_source_memory(s->p, s->size, &source, detail);
	if (!error)
		error = nm_state_add_source(state, source, detail);
	if (!error) {
		ck_assert(nm_libvirt_recognise(s->p, s->size));
		error = nm_libvirt_read(state, source, 0, detail);
	}
	if (error)
		nestmig_state_free(state);
	else
		*ret_state = state;
	return error;
}

static struct nestmig_state *must_read_image(const struct stream *s)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(read_image(s, &state, &detail), detail);
	return state;
}

static void refuse_image(const struct stream *s, enum nestmig_error error, const char *says)
{
	struct nestmig_state *state = NULL;
	struct nestmig_detail detail = {0};
	enum nestmig_error is = read_image(s, &state, &detail);

	ck_assert_msg(is == error, "%s instead of %s: %s", nestmig_error_name(is),
		      nestmig_error_name(error), detail.text);
	ck_assert_ptr_null(state);
	ck_assert_msg(strstr(detail.text, says) != NULL, "\"%s\" not in \"%s\"", says, detail.text);
}

/* An image of a stream; raw and sparse as it is. */
static struct stream image_of(const struct image *image, const struct stream *stream)
{
	struct stream s = {0};

	put_image_head(&s, image);
	pack(&s, image->format < NM_PACKINGS ? (enum nm_packing)image->format : NM_PACKING_NONE,
	     stream->p, stream->size);
	return s;
}

START_TEST(every_format_in_both_byte_orders)
{
	struct image image = IMAGE;
	struct stream stream = genuine("full2"), s;
	struct nestmig_state *plain = must_read(&stream), *state;
	size_t offset;

	image.format = (uint32_t)_i % FORMATS;
	image.big = _i >= FORMATS;
	image.xml = "<domain type='kvm'><name>vm</name></domain>";
	image.cookie = _i % 2 ? "<cookie/>" : NULL;
	offset = 92 + image_length(&image);
	s = image_of(&image, &stream);
	state = must_read_image(&s);
	ck_assert_str_eq(nestmig_state_format(state), "libvirt-save");
	ck_assert_str_eq(state->domain_xml, image.xml);
	if (image.cookie)
		ck_assert_str_eq(state->cookie_xml, image.cookie);
	else
		ck_assert_ptr_null(state->cookie_xml);
	if (image.format == 0 || image.format == 6) {
		ck_assert_ptr_null(state->packing);
		ck_assert_uint_eq(state->stream_base, offset);
	} else {
		ck_assert_str_eq(state->packing, nm_packing_name((enum nm_packing)image.format));
		ck_assert_uint_eq(state->stream_base, 0);
	}
	ck_assert_uint_eq(nm_source_size(state->stream), stream.size);
	ck_assert_str_eq(state->machine, plain->machine);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 2);
	for (size_t i = 0; i < 2; i++) {
		ck_field(state, i, "vmcb12.control.asid",
			 value_of(plain, i, "vmcb12.control.asid"));
		ck_field(state, i, "regs.rip", value_of(plain, i, "regs.rip"));
		ck_assert(!nm_vcpu_has(&state->vcpus[i], NESTMIG_HAVE(CPUID)));
	}
	nestmig_state_free(state);
	nestmig_state_free(plain);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

START_TEST(version_1_has_no_formats)
{
	struct stream stream = genuine("full1"), s;
	struct image image = IMAGE;
	struct nestmig_state *state;

	image.version = 1;
	image.format = 0xdeadbeef;
	s = image_of(&image, &stream);
	state = must_read_image(&s);
	ck_assert_ptr_null(state->packing);
	nestmig_state_free(state);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

static void enter_smm(struct nestmig_state *state)
{
	struct nestmig_vcpu_view *view = &state->vcpus[0].view;

	view->events.smi_smm = 1;
	view->sregs.efer = 0;
	view->sregs.cr0 |= UINT64_C(1) << 31;
	view->sregs.cr4 |= UINT64_C(1) << 5;
}

/* Pages of guest memory out of a compressed image: the same as out of the stream. */
START_TEST(guest_memory_is_found)
{
	struct stream stream = genuine("vmx1"), s;
	struct nestmig_state *plain = must_read(&stream), *state;
	struct nestmig_detail detail = {0};
	struct image image = IMAGE;

	image.format = (uint32_t)_i;
	s = image_of(&image, &stream);
	state = must_read_image(&s);
	plain->stream = plain->sources[0];
	/* As if it were in SMM, with paging that takes PDPTEs from memory. */
	enter_smm(plain);
	enter_smm(state);
	ck_ok(nm_state_load_memory(plain, &detail), detail);
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_assert_uint_gt(plain->page_count, 0);
	ck_assert_uint_eq(state->page_count, plain->page_count);
	ck_assert_uint_eq(state->vcpus[0].view.have, plain->vcpus[0].view.have);
	for (size_t i = 0; i < plain->page_count; i++) {
		uint8_t a[64] = {0}, b[64] = {0};

		ck_assert_int_eq(nm_state_read_memory(plain, plain->pages[i].gpa, a, 64),
				 nm_state_read_memory(state, state->pages[i].gpa, b, 64));
		ck_assert_int_eq(memcmp(a, b, 64), 0);
	}
	/* Unpacked twice, and once a few bytes to see what it is. */
	ck_assert_uint_le(nestmig_state_bytes_read(state), 4 * s.size + (1 << 20));
	nestmig_state_free(state);
	nestmig_state_free(plain);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

/* A number of the header, little-endian, and what becomes of the image. The XML is 10 bytes with its end, the
 * cookie 10, the padding 64. */
static const struct {
	size_t at;
	uint32_t value;
	enum nestmig_error error;
	const char *says;
} lies[] = {
	{16, 0, NESTMIG_ERR_UNSUPPORTED, "version 0"},
	{16, 3, NESTMIG_ERR_UNSUPPORTED, "version 50331648"},
	{16, 0x03000000, NESTMIG_ERR_UNSUPPORTED, "version 3"},
	{16, 0xffffffff, NESTMIG_ERR_UNSUPPORTED, "version"},
	{20, 0, NESTMIG_ERR_FORMAT, "data_len is 0"},
	{20, 9, NESTMIG_ERR_FORMAT, "cookieOffset 10 is not below"},
	{20, 10, NESTMIG_ERR_FORMAT, "cookieOffset 10 is not below"},
	{20, 19, NESTMIG_ERR_FORMAT, "cookie does not end"},
	{20, 20, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream"},
	{20, 85, NESTMIG_ERR_UNSUPPORTED, "no QEMU migration stream"},
	{20, 1 << 24, NESTMIG_ERR_TRUNCATED, "ends in the domain XML"},
	{20, (1 << 24) + 1, NESTMIG_ERR_LIMIT, "at most 16 MiB"},
	{20, 0xffffffff, NESTMIG_ERR_LIMIT, "at most 16 MiB"},
	{24, 2, NESTMIG_ERR_FORMAT, "was_running"},
	{24, 0x01000000, NESTMIG_ERR_FORMAT, "was_running"},
	{28, 1, NESTMIG_ERR_FORMAT, "gzip"},
	{28, 2, NESTMIG_ERR_FORMAT, "bzip2"},
	{28, 3, NESTMIG_ERR_FORMAT, "xz"},
	{28, 4, NESTMIG_ERR_UNSUPPORTED, "lzop"},
	{28, 5, NESTMIG_ERR_FORMAT, "zstd"},
	{28, 7, NESTMIG_ERR_UNSUPPORTED, "format 7"},
	{28, 0xffffffff, NESTMIG_ERR_UNSUPPORTED, "format 4294967295"},
	{32, 1, NESTMIG_ERR_FORMAT, "domain XML does not end"},
	{32, 9, NESTMIG_ERR_FORMAT, "domain XML does not end"},
	{32, 20, NESTMIG_ERR_FORMAT, "cookie is empty"},
	{32, 84, NESTMIG_ERR_FORMAT, "is not below"},
	{32, 0xffffffff, NESTMIG_ERR_FORMAT, "is not below"},
};

START_TEST(the_header_is_not_trusted)
{
	struct stream stream = genuine("full1"), s;
	struct image image = IMAGE;

	image.cookie = "<cookie/>";
	s = image_of(&image, &stream);
	ck_assert_uint_eq(image_length(&image), 84);
	set_be(s.p + lies[_i].at, __builtin_bswap32(lies[_i].value), 4);
	refuse_image(&s, lies[_i].error, lies[_i].says);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

START_TEST(an_unfinished_image_is_refused)
{
	struct stream stream = genuine("full1"), s;
	struct image image = IMAGE;

	image.magic = "LibvirtQemudPart";
	s = image_of(&image, &stream);
	refuse_image(&s, NESTMIG_ERR_UNSUPPORTED, "unfinished");
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

START_TEST(texts_must_end)
{
	struct stream stream = genuine("full1"), s;
	struct image image = IMAGE;

	/* No zero byte up to the end of the texts. */
	image.padding = 0;
	s = image_of(&image, &stream);
	s.p[92 + strlen(image.xml)] = 'x';
	refuse_image(&s, NESTMIG_ERR_FORMAT, "domain XML does not end");
	s.p[92] = '\0';
	refuse_image(&s, NESTMIG_ERR_FORMAT, "domain XML is empty");
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

START_TEST(a_cut_image_is_never_read)
{
	struct stream stream = genuine("full1"), s;
	struct image image = IMAGE;
	size_t head = 92 + image_length(&image);

	image.format = (uint32_t)_i;
	s = image_of(&image, &stream);
	for (size_t size = 16; size < s.size; size += size < head + 64 ? 1 : s.size / 24) {
		struct stream cut = {.p = s.p, .size = size};
		struct nestmig_state *state = NULL;
		struct nestmig_detail detail = {0};
		enum nestmig_error error = read_image(&cut, &state, &detail);

		ck_assert_msg(error == NESTMIG_ERR_TRUNCATED ||
				      ((error == NESTMIG_ERR_FORMAT ||
					error == NESTMIG_ERR_UNSUPPORTED) &&
				       image.format % 6 == 0),
			      "cut at %zu: %s: %s", size, nestmig_error_name(error), detail.text);
		ck_assert_uint_le(detail.offset, size);
	}
	for (size_t less = 1; less < 9; less++) {
		struct stream cut = {.p = s.p, .size = s.size - less};

		refuse_image(&cut, NESTMIG_ERR_TRUNCATED, "");
	}
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

START_TEST(device_state_alone_is_none)
{
	struct stream stream = genuine("dev1"), s;
	struct image image = IMAGE;

	image.format = (uint32_t)_i;
	s = image_of(&image, &stream);
	refuse_image(&s, NESTMIG_ERR_UNSUPPORTED, "not that of a whole VM");
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

/* An error in the stream tells where: in the file if that can be, else in the stream. */
START_TEST(errors_have_a_place)
{
	struct stream stream = genuine("full1"), s;
	struct nestmig_detail plain = {0}, detail = {0};
	struct nestmig_state *state = NULL;
	struct image image = IMAGE;

	stream.p[places[4].cpu - 10] ^= 0xff;
	ck_assert_int_eq(read_stream(stream.p, stream.size, &state, &plain), NESTMIG_ERR_FORMAT);
	s = image_of(&image, &stream);
	ck_assert_int_eq(read_image(&s, &state, &detail), NESTMIG_ERR_FORMAT);
	ck_assert_uint_eq(detail.offset, plain.offset + 92 + image_length(&image));
	ck_assert_str_eq(detail.text, plain.text);
	stream_free(&s);
	image.format = NM_PACKING_ZSTD;
	s = image_of(&image, &stream);
	ck_assert_int_eq(read_image(&s, &state, &detail), NESTMIG_ERR_FORMAT);
	ck_assert_uint_eq(detail.offset, plain.offset);
	ck_assert_ptr_nonnull(strstr(detail.text, "in the unpacked stream"));
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

#define EMULATE "<cpu><maxphysaddr mode='emulate' bits='46'/></cpu>"

static const struct {
	const char *xml, *cookie;
	unsigned bits;
} contexts[] = {
	{"<domain>" EMULATE "</domain>", NULL, 46},
	{"<domain/>", "<cookie>" EMULATE "</cookie>", 46},
	{"<domain><cpu/></domain>", NULL, 0},
	/* XML that cannot be read says nothing, nor does the rest of it. */
	{"no XML", NULL, 0},
	{"no XML", "<cookie>" EMULATE "</cookie>", 0},
	{"<domain>" EMULATE "</domain>", "no XML", 0},
	{"<domain>" EMULATE "</domain", NULL, 0},
};

START_TEST(the_width_of_addresses_reaches_the_vcpus)
{
	struct stream stream = genuine("full2"), s;
	struct image image = IMAGE;
	struct nestmig_state *state;

	image.xml = contexts[_i].xml;
	image.cookie = contexts[_i].cookie;
	image.format = NM_PACKING_ZSTD;
	s = image_of(&image, &stream);
	state = must_read_image(&s);
	for (size_t i = 0; i < 2; i++) {
		const struct nestmig_vcpu_view *view = &state->vcpus[i].view;

		ck_assert_int_eq(!!(view->have & NESTMIG_HAVE(CPUID)), contexts[_i].bits != 0);
		ck_assert_uint_eq(view->cpuid.have,
				  contexts[_i].bits ? 1U << NESTMIG_CPUID_80000008_EAX : 0);
		ck_assert_uint_eq(view->cpuid.word[NESTMIG_CPUID_80000008_EAX], contexts[_i].bits);
	}
	nestmig_state_free(state);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

/* What is shown of XML cannot steer a terminal. */
START_TEST(xml_is_escaped)
{
	struct stream stream = genuine("full1"), s;
	struct nestmig_detail detail = {0};
	struct image image = IMAGE;
	struct nestmig_state *state;
	char *text = NULL;

	image.xml = "<domain>\n\t\x1b[2J\r\x7f\xff\xc2\x9b"
		    "1m\xe2\x80\xae\xc3\xa4\xf0\x9f\x98\x80\xe2\x80</domain>";
	s = image_of(&image, &stream);
	state = must_read_image(&s);
	ck_ok(nestmig_inspect_xml_text(state, &text, &detail), detail);
	ck_assert_str_eq(text, "<domain>\n\t\\x1b[2J\\x0d\\x7f\\xff\\xc2\\x9b"
			       "1m\\xe2\\x80\\xae\xc3\xa4\xf0\x9f\x98\x80\\xe2\\x80</domain>\n");
	free(text);
	ck_ok(nestmig_inspect_xml_json(state, &text, &detail), detail);
	for (const char *p = text; p[1]; p++)
		ck_assert_msg((unsigned char)*p >= ' ', "byte 0x%02x", (unsigned char)*p);
	free(text);
	ck_assert_int_eq(nestmig_inspect_text(state, false, &text), NESTMIG_OK);
	ck_assert_ptr_nonnull(strstr(text, "not well-formed"));
	ck_assert_ptr_null(strchr(text, '\x1b'));
	free(text);
	nestmig_state_free(state);
	stream_free(&s);
	stream_free(&stream);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *suite = suite_create("libvirt");
	TCase *tcase = tcase_create("libvirt");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_format_in_both_byte_orders, 0, 2 * FORMATS);
	tcase_add_test(tcase, version_1_has_no_formats);
	tcase_add_loop_test(tcase, guest_memory_is_found, 0, FORMATS);
	tcase_add_loop_test(tcase, the_header_is_not_trusted, 0, COUNT(lies));
	tcase_add_test(tcase, an_unfinished_image_is_refused);
	tcase_add_test(tcase, texts_must_end);
	tcase_add_loop_test(tcase, a_cut_image_is_never_read, 0, FORMATS);
	tcase_add_loop_test(tcase, device_state_alone_is_none, 0, FORMATS);
	tcase_add_test(tcase, errors_have_a_place);
	tcase_add_loop_test(tcase, the_width_of_addresses_reaches_the_vcpus, 0, COUNT(contexts));
	tcase_add_test(tcase, xml_is_escaped);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
