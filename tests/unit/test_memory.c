// SPDX-License-Identifier: GPL-2.0-or-later
/* What is taken from guest memory when a state is read: here from raw dumps. */
#include "dump_dir.h"
#include "judge.h"
#include "smram/smram.h"
#include "vmcb/vmcb12.h"

#define SMBASE    0x30000
#define IMAGE     (SMBASE + 0xfe00)
#define GPA_VMCB  0x51000
#define GPA_HSAVE 0x52000
#define PAE_CR3   0x53020

static struct nestmig_state *state;
static uint8_t page[4096];

static void setup(void)
{
	dump_make();
	state = NULL;
}

static void teardown(void)
{
	nestmig_state_free(state);
	dir_remove();
}

static void set_le(uint8_t *at, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* Changes a struct of vCPU 0 in place. */
static void patch(const char *name, long offset, uint64_t value, unsigned width)
{
	uint8_t bytes[8];
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "vcpu0/%s", name);
	file = fopen(in_dir(path), "r+b");
	ck_assert_ptr_nonnull(file);
	set_le(bytes, value, width);
	ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
	ck_assert_uint_eq(fwrite(bytes, 1, width, file), width);
	ck_assert_int_eq(fclose(file), 0);
}

/* A list of MSRs: pairs of index and value. */
static void write_msrs(const uint64_t *pairs, size_t count)
{
	struct stream s = {0};

	for (size_t i = 0; i < count; i++) {
		uint8_t entry[16] = {0};

		set_le(entry, pairs[2 * i], 4);
		set_le(entry + 8, pairs[2 * i + 1], 8);
		put(&s, entry, sizeof(entry));
	}
	write_in_dir("vcpu0/msrs", s.p, s.size);
	stream_free(&s);
}

static void write_page(uint64_t gpa)
{
	char name[32];

	snprintf(name, sizeof(name), "mem/%llx", (unsigned long long)gpa);
	write_in_dir(name, page, sizeof(page));
}

/* In SMM, with an image that names a VMCB; all pages are there. */
static void enter_smm(void)
{
	static const uint64_t msrs[] = {0x9e, SMBASE, 0xc0010117, GPA_HSAVE};
	uint8_t *image = page + IMAGE % 4096;

	patch("vcpu_events", 24, 1, 1);
	write_msrs(msrs, 2);
	memset(page, 0, sizeof(page));
	set_le(image + SMRAM64_OFFSET_svm_guest_flag, 1, 8);
	set_le(image + SMRAM64_OFFSET_svm_guest_vmcb, GPA_VMCB | 0x7f8, 8);
	set_le(image + SMRAM64_OFFSET_cr0, 0x80000031, 8);
	set_le(image + SMRAM64_OFFSET_cr3, PAE_CR3 + 0x18, 8);
	set_le(image + SMRAM64_OFFSET_cr4, 0x20, 8);
	set_le(image + SMRAM64_OFFSET_revision, 0x20064, 4);
	image[-512 + 0x1d0] = 0x5a; /* of Intel's area */
	write_page(IMAGE & ~0xfffULL);
	memset(page, 0, sizeof(page));
	set_le(page + VMCB12_OFFSET_asid, 7, 4);
	write_page(GPA_VMCB);
	memset(page, 0, sizeof(page));
	set_le(page + VMCB12_OFFSET_save_cr0, 0x80000011, 8);
	write_page(GPA_HSAVE);
	memset(page, 0, sizeof(page));
	set_le(page + 0x20, 0x54001, 8);
	write_page(PAE_CR3 & ~0xfffULL);
}

static struct nestmig_ctx context(void)
{
	struct nestmig_ctx ctx;
	struct nm_order order;

	nm_order_parse(NULL, &order);
	nm_ctx_init(&ctx, state, &state->vcpus[0], NULL, &order);
	return ctx;
}

#define ck_has(item)   ck_assert(state->vcpus[0].view.have &NESTMIG_HAVE(item))
#define ck_lacks(item) ck_assert(!(state->vcpus[0].view.have & NESTMIG_HAVE(item)))

START_TEST(all_is_taken)
{
	uint64_t offset = 0;

	enter_smm();
	state = must_read_dir();
	ck_has(SMRAM);
	ck_has(SMM_VMCB12);
	ck_has(HSAVE);
	ck_field(state, 0, "smram.cr0", 0x80000031);
	ck_field(state, 0, "smram.svm_guest_vmcb", GPA_VMCB | 0x7f8);
	ck_field(state, 0, "smm_vmcb12.control.asid", 7);
	ck_field(state, 0, "hsave.cr0", 0x80000011);
	ck_assert(state->vcpus[0].memory->has_smram_low);
	ck_assert_uint_eq(state->vcpus[0].memory->smram_area[0x1d0], 0x5a);
	/* Where they stand: in these files, at these offsets. */
	ck_assert(nm_vcpu_field(&state->vcpus[0], "smram.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, 0xe00 + 0x158);
	ck_assert_str_eq(state->vcpus[0].origin[NESTMIG_ITEM_SMRAM].file, "mem/3f000");
	ck_assert(nm_vcpu_field(&state->vcpus[0], "hsave.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, 0x558);
	ck_assert_str_eq(state->vcpus[0].origin[NESTMIG_ITEM_HSAVE].file, "mem/52000");
}
END_TEST

START_TEST(backing_follows)
{
	struct nestmig_ctx ctx;

	enter_smm();
	state = must_read_dir();
	ctx = context();
	ck_assert_int_eq(ctx.mem.smram, NESTMIG_BACKED_YES);
	ck_assert_int_eq(ctx.mem.smm_vmcb12, NESTMIG_BACKED_YES);
	ck_assert_int_eq(ctx.mem.hsave, NESTMIG_BACKED_YES);
	ck_assert_int_eq(ctx.mem.rsm_pdptrs_ok, NESTMIG_BACKED_YES);
}
END_TEST

/* A missing page: unknown, or no RAM if the dump is complete. */
static const struct {
	const char *file;
	enum nestmig_item item;
} missing[] = {
	{"mem/3f000", NESTMIG_ITEM_SMRAM},
	{"mem/51000", NESTMIG_ITEM_SMM_VMCB12},
	{"mem/52000", NESTMIG_ITEM_HSAVE},
};

START_TEST(a_missing_page)
{
	bool complete = _i % 2;
	const struct nestmig_backing *mem;
	struct nestmig_ctx ctx;
	size_t i = (size_t)_i / 2;

	enter_smm();
	ck_assert_int_eq(unlink(in_dir(missing[i].file)), 0);
	if (complete)
		write_text("meta.json", "{\"vendor\":\"amd\",\"memory_complete\":true}");
	else
		write_text("meta.json", "{\"vendor\":\"amd\"}");
	state = must_read_dir();
	for (size_t k = 0; k < 3; k++)
		/* Without an image nothing names a VMCB. */
		ck_assert_int_eq(!(state->vcpus[0].view.have >> missing[k].item & 1),
				 k == i || (i == 0 && k == 1));
	ctx = context();
	mem = &ctx.mem;
	ck_assert_int_eq(i == 0   ? mem->smram
			 : i == 1 ? mem->smm_vmcb12
				  : mem->hsave,
			 complete ? NESTMIG_BACKED_NO : NESTMIG_BACKED_UNKNOWN);
}
END_TEST

START_TEST(outside_smm_there_is_no_image)
{
	enter_smm();
	patch("vcpu_events", 24, 0, 1);
	state = must_read_dir();
	ck_lacks(SMRAM);
	ck_lacks(SMM_VMCB12);
	ck_has(HSAVE);
	ck_assert_int_eq(context().mem.smram, NESTMIG_BACKED_UNKNOWN);
}
END_TEST

START_TEST(without_smbase_there_is_no_image)
{
	static const uint64_t msrs[] = {0xc0010117, GPA_HSAVE};

	enter_smm();
	write_msrs(msrs, 1);
	state = must_read_dir();
	ck_lacks(SMRAM);
	ck_has(HSAVE);
}
END_TEST

/* A guest without long mode: the other map, in which nothing names a VMCB. */
START_TEST(cpuid_without_long_mode)
{
	uint8_t cpuid[80] = {0};

	enter_smm();
	set_le(cpuid, 0x80000000, 4);
	set_le(cpuid + 12, 0x80000008, 4);
	set_le(cpuid + 40, 0x80000001, 4);
	write_in_dir("vcpu0/cpuid", cpuid, sizeof(cpuid));
	state = must_read_dir();
	ck_has(SMRAM);
	ck_lacks(SMM_VMCB12);
	ck_assert_int_eq(state->vcpus[0].origin[NESTMIG_ITEM_SMRAM].layout, NM_LAYOUT_SMRAM32);
	/* EIP of the 32-bit map is where the 64-bit map has RDX. */
	ck_assert(!has_field(state, 0, "smram.efer"));
	ck_assert(has_field(state, 0, "smram.rip"));
}
END_TEST

/* Without a CPUID the revision id says what to show. */
START_TEST(revision_without_cpuid)
{
	enter_smm();
	ck_assert_int_eq(unlink(in_dir("vcpu0/cpuid")), 0);
	state = must_read_dir();
	ck_assert_int_eq(state->vcpus[0].origin[NESTMIG_ITEM_SMRAM].layout, NM_LAYOUT_KVM);
	ck_has(SMM_VMCB12);
	nestmig_state_free(state);
	memset(page, 0, sizeof(page));
	set_le(page + 0xe00 + SMRAM32_OFFSET_revision, 0x20000, 4);
	write_page(IMAGE & ~0xfffULL);
	state = must_read_dir();
	ck_assert_int_eq(state->vcpus[0].origin[NESTMIG_ITEM_SMRAM].layout, NM_LAYOUT_SMRAM32);
}
END_TEST

/* Only svm_leave_smm looks at the flag. */
START_TEST(intel_has_no_svm_fields)
{
	enter_smm();
	write_text("meta.json", "{\"vendor\":\"intel\"}");
	state = must_read_dir();
	ck_has(SMRAM);
	ck_lacks(SMM_VMCB12);
}
END_TEST

/* SMBASE need not be aligned, and may be anything at all. */
START_TEST(straddling_image)
{
	static const uint64_t msrs[] = {0x9e, SMBASE + 0x100};
	uint64_t offset = 0;

	enter_smm();
	write_msrs(msrs, 1);
	state = must_read_dir();
	ck_lacks(SMRAM);
	nestmig_state_free(state);
	memset(page, 0x11, sizeof(page));
	write_page(0x40000);
	state = must_read_dir();
	ck_has(SMRAM);
	ck_field(state, 0, "smram.rax", UINT64_C(0x1111111111111111));
	/* In two files: no offset of its own. */
	ck_assert(nm_vcpu_field(&state->vcpus[0], "smram.rax", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
}
END_TEST

static const uint64_t smbases[] = {UINT64_MAX, UINT64_MAX - 0xfe00, UINT64_MAX - 0xfbff,
				   UINT64_MAX - 0xffff, UINT64_C(0x8000000000000000)};

START_TEST(hostile_smbase)
{
	uint64_t msrs[] = {0x9e, smbases[_i], 0xc0010117, UINT64_MAX};

	enter_smm();
	write_msrs(msrs, 2);
	write_text("meta.json", "{\"vendor\":\"amd\",\"memory_complete\":true}");
	state = must_read_dir();
	ck_lacks(SMRAM);
	ck_lacks(HSAVE);
	ck_assert_int_eq(context().mem.smram, NESTMIG_BACKED_NO);
}
END_TEST

/* As often as one likes: what is taken is what is there now. */
START_TEST(loading_again)
{
	struct nestmig_detail detail = {0};
	const uint8_t *image;

	enter_smm();
	state = must_read_dir();
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_has(SMRAM);
	image = state->vcpus[0].view.smram;
	ck_assert_ptr_nonnull(image);
	state->vcpus[0].view.events.smi_smm = 0;
	ck_ok(nm_state_load_memory(state, &detail), detail);
	ck_lacks(SMRAM);
	ck_lacks(SMM_VMCB12);
	ck_assert_ptr_null(state->vcpus[0].view.smram);
}
END_TEST

/* PDPTEs are those of the CR3 with which they were read: of another one nothing is known. */
START_TEST(pdptes_of_another_cr3)
{
	enter_smm();
	patch("sregs2", 224, 0x80000011, 8);
	patch("sregs2", 240, PAE_CR3, 8);
	patch("sregs2", 248, 0x20, 8);
	patch("sregs2", 264, 0x1000, 8);
	patch("vcpu_events", 24, 0, 1);
	state = must_read_dir();
	ck_assert_int_eq(context().mem.l2_pdptrs_ok, NESTMIG_BACKED_YES);
	state->vcpus[0].view.sregs.cr3 = PAE_CR3 + 0x20;
	ck_assert_int_eq(context().mem.l2_pdptrs_ok, NESTMIG_BACKED_UNKNOWN);
	ck_assert_int_eq(nm_vcpu_load_pdptes(state, &state->vcpus[0]), NESTMIG_OK);
	ck_assert_int_eq(context().mem.l2_pdptrs_ok, NESTMIG_BACKED_YES);
}
END_TEST

START_TEST(the_live_cr3)
{
	enter_smm();
	patch("sregs2", 240, 0x53000, 8);
	state = must_read_dir();
	ck_assert_int_eq(context().mem.cr3, NESTMIG_BACKED_YES);
	state->vcpus[0].view.sregs.cr3 = 0x53fff;
	ck_assert_int_eq(context().mem.cr3, NESTMIG_BACKED_YES);
	state->memory_known = true;
	state->vcpus[0].view.sregs.cr3 = 0x99000;
	ck_assert_int_eq(context().mem.cr3, NESTMIG_BACKED_NO);
	state->vcpus[0].view.sregs.cr3 = UINT64_C(0x100053000);
	ck_assert_int_eq(context().mem.cr3, NESTMIG_BACKED_NO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("raw dump");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_is_taken);
	tcase_add_test(tcase, backing_follows);
	tcase_add_loop_test(tcase, a_missing_page, 0, 6);
	tcase_add_test(tcase, outside_smm_there_is_no_image);
	tcase_add_test(tcase, without_smbase_there_is_no_image);
	tcase_add_test(tcase, cpuid_without_long_mode);
	tcase_add_test(tcase, revision_without_cpuid);
	tcase_add_test(tcase, intel_has_no_svm_fields);
	tcase_add_test(tcase, straddling_image);
	tcase_add_loop_test(tcase, hostile_smbase, 0, sizeof(smbases) / sizeof(smbases[0]));
	tcase_add_test(tcase, loading_again);
	tcase_add_test(tcase, pdptes_of_another_cr3);
	tcase_add_test(tcase, the_live_cr3);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
