// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages out of the RAM of a QEMU stream. The genuine streams are walked here a second time, in the
 * simplest way; in made ones the RAM of full1 is replaced by a few records.
 */
#include "dump_dir.h"
#include "judge.h"
#include "nms.h"
#include "nms_format.h"
#include "ram_copies.h"
#include "smram/smram.h"
#include "vmcb/vmcb12.h"

#define PC_RAM 0x4000000
#define PAGES  (PC_RAM / 4096)
/* In the payload of "cpu". */
#define CPU_HFLAGS 144
#define CPU_SMBASE 864
#define CPU_HSAVE  880
#define HF_SMM     (1U << 19)

static struct stream s;
static struct nestmig_state *state;

static void setup(void)
{
	s = genuine("full1");
	state = NULL;
}

static void teardown(void)
{
	nestmig_state_free(state);
	stream_free(&s);
}

/* ---- Genuine streams ------------------------------------------------------------------------- */

static struct nm_page expected[PAGES], found[PAGES];

/* Past the head; what comes first in section "ram" is the list of blocks. */
static size_t records_of(const struct stream *from)
{
	size_t at = 8 + 5 + nm_be32(from->p + 9) + 17;
	uint64_t left = nm_be64(from->p + at) & ~UINT64_C(0xfff);

	for (at += 8; left; at += 8) {
		at += 1 + from->p[at];
		left -= nm_be64(from->p + at);
	}
	return at;
}

/* Notes all pages of pc.ram; returns where the devices start. */
static size_t walk(const struct stream *from)
{
	size_t at = records_of(from);
	bool pc_ram = false;

	for (;;) {
		uint64_t record = nm_be64(from->p + at), address = record & ~UINT64_C(0xfff);
		struct nm_page page = {.gpa = address};

		at += 8;
		if ((record & 0xfff) == F_EOS) {
			ck_assert_uint_eq(from->p[at], 0x7e);
			at += 5;
			if (from->p[at] == 4)
				return at;
			at += 5;
			continue;
		}
		if (!(record & F_SAME)) {
			pc_ram = from->p[at] == 6 && memcmp(from->p + at + 1, "pc.ram", 6) == 0;
			at += 1 + from->p[at];
		}
		if (record & F_PAGE) {
			page.kind = NM_PAGE_STORED;
			page.offset = at;
			at += 4096;
		} else {
			ck_assert(record & F_ZERO);
			page.kind = NM_PAGE_FILL;
			page.fill = from->p[at++];
		}
		if (pc_ram)
			expected[address / 4096] = page;
	}
}

static const char *const full[] = {"full1", "full2"};

START_TEST(all_pages_of_a_genuine_stream)
{
	struct nestmig_detail detail = {0};
	size_t stored = 0;

	stream_free(&s);
	s = genuine(full[_i]);
	memset(expected, 0, sizeof(expected));
	walk(&s);
	state = must_read(&s);
	state->stream = state->sources[0];
	ck_assert_ptr_nonnull(state->find_pages);
	for (size_t i = 0; i < PAGES; i++)
		found[i] = (struct nm_page){.gpa = 4096 * i};
	ck_ok(state->find_pages(state, found, PAGES, &detail), detail);
	for (size_t i = 0; i < PAGES; i++) {
		ck_assert_int_eq(found[i].kind, expected[i].kind);
		ck_assert_uint_eq(found[i].offset, expected[i].offset);
		ck_assert_uint_eq(found[i].fill, expected[i].fill);
		stored += found[i].kind == NM_PAGE_STORED;
	}
	ck_assert_uint_gt(stored, 50);
}
END_TEST

/* A pass reads little more than the headers. */
START_TEST(a_pass_does_not_read_pages)
{
	struct nm_page page = {.gpa = 0x5000};
	struct nestmig_detail detail = {0};
	uint64_t before;

	state = must_read(&s);
	state->stream = state->sources[0];
	before = nestmig_state_bytes_read(state);
	ck_ok(state->find_pages(state, &page, 1, &detail), detail);
	ck_assert_uint_lt(nestmig_state_bytes_read(state) - before, s.size / 2);
}
END_TEST

/* Outside SMM, and with 64-bit paging, there is no pass at all. */
START_TEST(no_pass_without_need)
{
	struct nestmig_detail detail = {0};
	uint64_t before;

	state = must_read(&s);
	state->stream = state->sources[0];
	before = nestmig_state_bytes_read(state);
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_assert_uint_eq(nestmig_state_bytes_read(state), before);
	ck_assert_uint_eq(state->page_count, 0);
}
END_TEST

/* ---- Made records ---------------------------------------------------------------------------- */

static size_t made; /* bytes of records in the stream */

/* Puts the records in the place of those of the stream. */
static void put_made(void)
{
	size_t from = records_of(&s), to = walk(&s);

	replace(&s, from, to - from, ram.p, ram.size);
	made = ram.size;
	stream_free(&ram);
}

static void read_made(void)
{
	put_made();
	state = must_read(&s);
	state->stream = state->sources[0];
}

static void begin(void)
{
	ram = (struct stream){0};
	ram_id = nm_be32(s.p + 8 + 5 + nm_be32(s.p + 9) + 1);
	end_section();
}

static struct nm_page look_for(uint64_t gpa)
{
	/* With one before and one behind that are nowhere. */
	struct nm_page pages[3] = {{.gpa = 0}, {.gpa = gpa}, {.gpa = 0x3fff000}};
	struct nestmig_detail detail = {0};

	ck_ok(state->find_pages(state, pages, 3, &detail), detail);
	ck_assert_int_eq(pages[0].kind, NM_PAGE_ABSENT);
	ck_assert_int_eq(pages[2].kind, NM_PAGE_ABSENT);
	return pages[1];
}

START_TEST(the_last_copy_counts)
{
	uint8_t bytes[4096], again[4096];
	struct nestmig_detail detail = {0};
	enum nestmig_error error;
	struct nm_page page;

	begin();
	start_section(2);
	some_copies(_i);
	end_section();
	start_section(3);
	end_section();
	read_made();
	page = look_for(0x5000);
	error = nm_page_bytes(state, &page, bytes, &detail);
	if (lasts[_i] == LAST_NONE) {
		ck_assert_int_eq(error, NESTMIG_ERR_NOT_FOUND);
		return;
	}
	ck_ok(error, detail);
	for (size_t i = 0; i < sizeof(bytes); i++)
		ck_assert_uint_eq(bytes[i], lasts[_i] == LAST_PAGE);
	ck_assert_int_eq(page.kind == NM_PAGE_FILL, lasts[_i] == LAST_FILL);
	/* And once more. */
	page = look_for(0x5000);
	ck_ok(nm_page_bytes(state, &page, again, &detail), detail);
	ck_assert_mem_eq(again, bytes, sizeof(bytes));
}
END_TEST

/* What is not understood: a page that was seen before it is not known to be the last copy. */
static void not_understood(int which)
{
	switch (which) {
	case 0: /* a section of another device */
		end_section();
		put_section(&ram, 1, 9, "block", 0, 1);
		break;
	case 1: /* a part of another device */
		end_section();
		put_be(&ram, 2, 1);
		put_be(&ram, ram_id + 1, 4);
		break;
	case 2: /* a flag that there is not */
		record(0x6000, 0x400, NULL);
		break;
	case 3: /* no flag */
		record(0x6000, 0, NULL);
		break;
	case 4: /* two at once */
		record(0x6000, F_PAGE | F_ZERO, NULL);
		put_fill(&ram, 0, 4096);
		break;
	case 5: /* the wrong footer */
		put_be(&ram, F_EOS, 8);
		put_footer(&ram, ram_id + 1);
		break;
	case 6: /* no footer */
		put_be(&ram, F_EOS, 8);
		put_fill(&ram, 0, 16);
		break;
	case 7: /* a block without a name */
		put_be(&ram, 0x6000 | F_PAGE, 8);
		put_be(&ram, 0, 1);
		put_fill(&ram, 0, 4096);
		break;
	case 8: /* a difference that is larger than a page */
		record(0x6000, F_XBZRLE, NULL);
		put_be(&ram, 1, 1);
		put_be(&ram, 4097, 2);
		put_fill(&ram, 0, 4097);
		break;
	case 9: /* of another kind */
		record(0x6000, F_XBZRLE, NULL);
		put_be(&ram, 2, 1);
		put_be(&ram, 4, 2);
		put_fill(&ram, 0, 4);
		break;
	case 10: /* a packed page of 4 GiB */
		record(0x6000, F_PACKED, NULL);
		put_be(&ram, 0xffffffff, 4);
		break;
	case 11: /* pages come from elsewhere (RDMA) */
		put_be(&ram, 0x080, 8);
		break;
	default: /* a list of blocks once more */
		put_be(&ram, 0x4000 | 0x004, 8);
	}
}

#define NOT_UNDERSTOOD 13

/* No QEMU writes these. */
static bool is_wrong(int which)
{
	return which <= 1 || which == 5 || which == 6;
}

START_TEST(what_is_not_understood_is_not_guessed)
{
	begin();
	start_section(2);
	full_page(0x5000, "pc.ram", 1);
	not_understood(_i);
	end_section();
	start_section(3);
	end_section();
	put_made();
	if (is_wrong(_i)) {
		must_refuse(&s, NESTMIG_ERR_FORMAT, "");
		return;
	}
	state = must_read(&s);
	state->stream = state->sources[0];
	ck_assert_int_eq(look_for(0x5000).kind, NM_PAGE_ABSENT);
}
END_TEST

/* The first record cannot be of the same block as the one before. */
START_TEST(no_block_to_continue)
{
	begin();
	start_section(3);
	full_page(0x5000, NULL, 1);
	end_section();
	read_made();
	ck_assert_int_eq(look_for(0x5000).kind, NM_PAGE_ABSENT);
}
END_TEST

/* Cut anywhere, nothing is found, and nothing is read past the end. The stream proper needs its end:
 * so the copy is cut behind the reader's back. */
START_TEST(cut_anywhere)
{
	struct nm_source *cut = NULL, *whole;
	size_t from, to;

	begin();
	start_section(2);
	some_copies(8);
	end_section();
	start_section(3);
	full_page(0x7000, "pc.ram", 1);
	end_section();
	read_made();
	whole = state->stream;
	from = records_of(&s);
	to = from + made;
	for (size_t size = from; size < to; size++) {
		uint8_t *exact = malloc(size);

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, s.p, size);
		ck_assert_int_eq(nm_source_memory(exact, size, &cut, NULL), NESTMIG_OK);
		state->stream = cut;
		ck_assert_int_eq(look_for(0x5000).kind, NM_PAGE_ABSENT);
		nm_source_free(cut);
		free(exact);
	}
	state->stream = whole;
	ck_assert_int_eq(look_for(0x5000).kind, NM_PAGE_STORED);
}
END_TEST

/* ---- SMRAM out of a stream ------------------------------------------------------------------- */

#define SMBASE    0xa0000
#define GPA_VMCB  0x200000
#define GPA_HSAVE 0x201000

/* The page with the image, in SMM that of the RAM behind the VGA window. */
static void image_page(void)
{
	size_t at;

	record(0xaf000, F_PAGE, "pc.ram");
	at = ram.size;
	put_fill(&ram, 0, 4096);
	at += 0xe00;
	ram.p[at + SMRAM64_OFFSET_cr0] = 0x31;
	ram.p[at + SMRAM64_OFFSET_svm_guest_flag] = 1;
	ram.p[at + SMRAM64_OFFSET_svm_guest_vmcb + 2] = GPA_VMCB >> 16;
	ram.p[at + SMRAM64_OFFSET_revision] = 0x64;
}

/* full1 with its vCPU in SMM. */
static void make_smm(void)
{
	size_t cpu = places[4].cpu;

	set_be(s.p + cpu + CPU_HFLAGS, nm_be32(s.p + cpu + CPU_HFLAGS) | HF_SMM, 4);
	set_be(s.p + cpu + CPU_SMBASE, SMBASE, 4);
	set_be(s.p + cpu + CPU_HSAVE, GPA_HSAVE, 8);
	begin();
	start_section(2);
	full_page(0xaf000, "pc.ram", 0xee);
	image_page();
	full_page(0xaf000, OTHER, 0xdd);
	full_page(GPA_VMCB, "pc.ram", 0x22);
	end_section();
	start_section(3);
	fill_page(GPA_HSAVE, NULL, 0);
	end_section();
}

static void check_smm(void)
{
	uint64_t offset = 0;

	ck_field(state, 0, "events.smi_smm", 1);
	ck_field(state, 0, "smbase", SMBASE);
	ck_field(state, 0, "smram.cr0", 0x31);
	ck_field(state, 0, "smram.svm_guest_vmcb", GPA_VMCB);
	ck_field(state, 0, "smm_vmcb12.control.asid", 0x22222222);
	ck_field(state, 0, "hsave.cr0", 0);
	/* The offset is that of the last copy in the stream; a page of zeros has none. */
	ck_assert(nm_vcpu_field(&state->vcpus[0], "smram.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(s.p[offset], 0x31);
	ck_assert(nm_vcpu_field(&state->vcpus[0], "smm_vmcb12.control.asid", NULL, NULL, &offset));
	ck_assert_uint_eq(s.p[offset], 0x22);
	ck_assert(nm_vcpu_field(&state->vcpus[0], "hsave.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
}

START_TEST(smram_of_a_stream)
{
	struct nestmig_detail detail = {0};
	struct nestmig_ctx ctx;
	struct nm_order order;

	make_smm();
	read_made();
	ck_ok(nm_state_load_memory(state, &detail), detail);
	check_smm();
	nm_order_parse(NULL, &order);
	nm_ctx_init(&ctx, state, &state->vcpus[0], NULL, &order);
	ck_assert_int_eq(ctx.mem.smram, NESTMIG_BACKED_YES);
	ck_assert_int_eq(ctx.mem.smm_vmcb12, NESTMIG_BACKED_YES);
	ck_assert_int_eq(ctx.mem.hsave, NESTMIG_BACKED_YES);
	/* Others do not see RAM there. */
	ck_assert_int_eq(nm_state_backed(state, 0xaf000, 4096), NESTMIG_BACKED_UNKNOWN);
	/* And once more, with what was found before. */
	ck_ok(nm_state_load_memory(state, &detail), detail);
	check_smm();
}
END_TEST

/* Through files: as they are read in earnest. */
static void read_file(const char *name, unsigned flags)
{
	struct nestmig_detail detail = {0};

	ck_ok(nestmig_state_read(in_dir(name), flags, &state, &detail), detail);
}

static void pack(const char *path)
{
	static const struct nm_nms_info info = {
		.kind = NM_NMS_FULL,
		.vendor = NESTMIG_VENDOR_AMD,
		.tool = "0.1.0",
		.time = "2025-01-31T12:00:00Z",
		.qemu = "10.0.2",
		.machine = "pc-q35-7.2",
		.run_state = "running",
	};
	struct nestmig_detail detail = {0};
	struct nm_nms_writer *w = NULL;

	ck_ok(nm_nms_writer_new(path, 1, &w, &detail), detail);
	ck_ok(nm_nms_writer_add_source(w, &info, &detail), detail);
	ck_ok(nm_nms_writer_add_stream(w, s.p, s.size, &detail), detail);
	ck_ok(nm_nms_writer_finish_stream(w, &detail), detail);
	ck_ok(nm_nms_writer_commit(w, &detail), detail);
	nm_nms_writer_free(w);
}

START_TEST(smram_of_a_file)
{
	make_smm();
	read_made();
	nestmig_state_free(state);
	dir_make();
	write_in_dir("stream", s.p, s.size);
	pack(in_dir("nms"));
	read_file("stream", 0);
	check_smm();
	nestmig_state_free(state);
	read_file("nms", 0);
	check_smm();
	nestmig_state_free(state);
	read_file("nms", NESTMIG_READ_SKIP_RAM_CHECKSUM);
	check_smm();
	dir_remove();
}
END_TEST

/* L2 in SMM whose RAM is not in the file. */
START_TEST(a_device_stream_has_no_smram)
{
	struct nestmig_detail detail = {0};

	stream_free(&s);
	s = genuine("dev1");
	set_be(s.p + places[0].cpu + CPU_HFLAGS, nm_be32(s.p + places[0].cpu + CPU_HFLAGS) | HF_SMM,
	       4);
	state = must_read(&s);
	state->stream = state->sources[0];
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_field(state, 0, "events.smi_smm", 1);
	ck_assert(!has_field(state, 0, "smram.cr0"));
	ck_assert(!has_field(state, 0, "hsave.cr0"));
}
END_TEST

/* A flag that the image does not carry names no VMCB: one pass is enough. */
START_TEST(an_image_outside_of_guest_mode)
{
	struct nestmig_detail detail = {0};

	make_smm();
	stream_free(&ram);
	begin();
	start_section(3);
	fill_page(0xaf000, "pc.ram", 0);
	fill_page(GPA_HSAVE, NULL, 0);
	end_section();
	read_made();
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_field(state, 0, "smram.cr0", 0);
	ck_assert(!has_field(state, 0, "smm_vmcb12.control.asid"));
	ck_assert_uint_eq(state->page_count, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_ram");
	TCase *tcase = tcase_create("pages");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, all_pages_of_a_genuine_stream, 0, 2);
	tcase_add_test(tcase, a_pass_does_not_read_pages);
	tcase_add_test(tcase, no_pass_without_need);
	tcase_add_loop_test(tcase, the_last_copy_counts, 0, sizeof(lasts) / sizeof(lasts[0]));
	tcase_add_loop_test(tcase, what_is_not_understood_is_not_guessed, 0, NOT_UNDERSTOOD);
	tcase_add_test(tcase, no_block_to_continue);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, smram_of_a_stream);
	tcase_add_test(tcase, smram_of_a_file);
	tcase_add_test(tcase, a_device_stream_has_no_smram);
	tcase_add_test(tcase, an_image_outside_of_guest_mode);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
