// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The maps of SMRAM against the offsets that stand in the source of KVM 6.1, counted as it does: from
 * SMBASE + 0x8000 (enter_smm_save_state_64 and _32, svm_enter_smm).
 */
#include "smram/smram.h"

#include "stream.h"

/* An offset of KVM's source. */
#define AT(offset) ((offset)-0x7e00)

struct row {
	const char *name;
	unsigned offset, width;
	uint64_t (*read)(const uint8_t *image);
};

#define ROW64(name, ident, offset, width)                                                          \
	{                                                                                          \
		"smram." name, AT(offset), width, smram64_##ident                                  \
	}
#define ROW32(name, ident, offset)                                                                 \
	{                                                                                          \
		"smram." name, AT(offset), 4, smram32_##ident                                      \
	}
#define SEGMENT64(s, offset)                                                                       \
	ROW64(#s ".selector", s##_selector, offset, 2),                                            \
		ROW64(#s ".attributes", s##_attributes, (offset) + 2, 2),                          \
		ROW64(#s ".limit", s##_limit, (offset) + 4, 4),                                    \
		ROW64(#s ".base", s##_base, (offset) + 8, 8)
#define SEGMENT32(s, selector, offset)                                                             \
	ROW32(#s ".selector", s##_selector, selector),                                             \
		ROW32(#s ".attributes", s##_attributes, offset),                                   \
		ROW32(#s ".limit", s##_limit, (offset) + 4),                                       \
		ROW32(#s ".base", s##_base, (offset) + 8)

/* Segments by the number that KVM gives them: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5. Registers: RAX 0,
 * RCX 1, RDX 2, RBX 3, RSP 4, RBP 5, RSI 6, RDI 7, R8 8. */
static const struct row rows64[] = {
	SEGMENT64(es, 0x7e00 + 0 * 16),
	SEGMENT64(cs, 0x7e00 + 1 * 16),
	SEGMENT64(ss, 0x7e00 + 2 * 16),
	SEGMENT64(ds, 0x7e00 + 3 * 16),
	SEGMENT64(fs, 0x7e00 + 4 * 16),
	SEGMENT64(gs, 0x7e00 + 5 * 16),
	SEGMENT64(tr, 0x7e90),
	SEGMENT64(ldtr, 0x7e70),
	ROW64("gdtr.limit", gdtr_limit, 0x7e64, 4),
	ROW64("gdtr.base", gdtr_base, 0x7e68, 8),
	ROW64("idtr.limit", idtr_limit, 0x7e84, 4),
	ROW64("idtr.base", idtr_base, 0x7e88, 8),
	ROW64("efer", efer, 0x7ed0, 8),
	ROW64("svm_guest_flag", svm_guest_flag, 0x7ed8, 8),
	ROW64("svm_guest_vmcb", svm_guest_vmcb, 0x7ee0, 8),
	ROW64("revision", revision, 0x7efc, 4),
	ROW64("smbase", smbase, 0x7f00, 4),
	ROW64("cr4", cr4, 0x7f48, 8),
	ROW64("cr3", cr3, 0x7f50, 8),
	ROW64("cr0", cr0, 0x7f58, 8),
	ROW64("dr7", dr7, 0x7f60, 8),
	ROW64("dr6", dr6, 0x7f68, 8),
	ROW64("rflags", rflags, 0x7f70, 8),
	ROW64("rip", rip, 0x7f78, 8),
	ROW64("rax", rax, 0x7ff8 - 0 * 8, 8),
	ROW64("rcx", rcx, 0x7ff8 - 1 * 8, 8),
	ROW64("rdx", rdx, 0x7ff8 - 2 * 8, 8),
	ROW64("rbx", rbx, 0x7ff8 - 3 * 8, 8),
	ROW64("rsp", rsp, 0x7ff8 - 4 * 8, 8),
	ROW64("rbp", rbp, 0x7ff8 - 5 * 8, 8),
	ROW64("rsi", rsi, 0x7ff8 - 6 * 8, 8),
	ROW64("rdi", rdi, 0x7ff8 - 7 * 8, 8),
	ROW64("r8", r8, 0x7ff8 - 8 * 8, 8),
	ROW64("r9", r9, 0x7ff8 - 9 * 8, 8),
	ROW64("r10", r10, 0x7ff8 - 10 * 8, 8),
	ROW64("r11", r11, 0x7ff8 - 11 * 8, 8),
	ROW64("r12", r12, 0x7ff8 - 12 * 8, 8),
	ROW64("r13", r13, 0x7ff8 - 13 * 8, 8),
	ROW64("r14", r14, 0x7ff8 - 14 * 8, 8),
	ROW64("r15", r15, 0x7ff8 - 15 * 8, 8),
};

static const struct row rows32[] = {
	SEGMENT32(es, 0x7fa8 + 0 * 4, 0x7f84 + 0 * 12),
	SEGMENT32(cs, 0x7fa8 + 1 * 4, 0x7f84 + 1 * 12),
	SEGMENT32(ss, 0x7fa8 + 2 * 4, 0x7f84 + 2 * 12),
	SEGMENT32(ds, 0x7fa8 + 3 * 4, 0x7f2c + 0 * 12),
	SEGMENT32(fs, 0x7fa8 + 4 * 4, 0x7f2c + 1 * 12),
	SEGMENT32(gs, 0x7fa8 + 5 * 4, 0x7f2c + 2 * 12),
	SEGMENT32(tr, 0x7fc4, 0x7f5c),
	SEGMENT32(ldtr, 0x7fc0, 0x7f78),
	ROW32("gdtr.base", gdtr_base, 0x7f74),
	ROW32("gdtr.limit", gdtr_limit, 0x7f70),
	ROW32("idtr.base", idtr_base, 0x7f58),
	ROW32("idtr.limit", idtr_limit, 0x7f54),
	ROW32("smbase", smbase, 0x7ef8),
	ROW32("revision", revision, 0x7efc),
	ROW32("cr4", cr4, 0x7f14),
	ROW32("dr7", dr7, 0x7fc8),
	ROW32("dr6", dr6, 0x7fcc),
	ROW32("rax", rax, 0x7fd0 + 0 * 4),
	ROW32("rcx", rcx, 0x7fd0 + 1 * 4),
	ROW32("rdx", rdx, 0x7fd0 + 2 * 4),
	ROW32("rbx", rbx, 0x7fd0 + 3 * 4),
	ROW32("rsp", rsp, 0x7fd0 + 4 * 4),
	ROW32("rbp", rbp, 0x7fd0 + 5 * 4),
	ROW32("rsi", rsi, 0x7fd0 + 6 * 4),
	ROW32("rdi", rdi, 0x7fd0 + 7 * 4),
	ROW32("rip", rip, 0x7ff0),
	ROW32("rflags", rflags, 0x7ff4),
	ROW32("cr3", cr3, 0x7ff8),
	ROW32("cr0", cr0, 0x7ffc),
};

static uint8_t image[NESTMIG_SMRAM_SIZE];

/* No two places of the image read the same. */
static void fill_image(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(image); i++) {
		x = x * 1103515245 + 12345;
		image[i] = (uint8_t)(x >> 16);
	}
}

static uint64_t bytes_at(unsigned offset, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = width; i > 0; i--)
		value = value << 8 | image[offset + i - 1];
	return value;
}

static void check_rows(const struct row *rows, size_t count, enum nm_layout layout)
{
	struct nm_vcpu vcpu = {.view = {.smram = image}};
	const struct nm_origin origin = {.offset = 0x1000, .size = sizeof(image), .layout = layout};

	nm_vcpu_set_item(&vcpu, NESTMIG_ITEM_SMRAM, origin);
	for (size_t i = 0; i < count; i++) {
		uint64_t expected = bytes_at(rows[i].offset, rows[i].width), value = 0, offset = 0;
		unsigned width = 0;

		ck_assert_msg(rows[i].read(image) == expected, "%s", rows[i].name);
		ck_assert_msg(nm_vcpu_field(&vcpu, rows[i].name, &value, &width, &offset), "%s",
			      rows[i].name);
		ck_assert_msg(value == expected && width == rows[i].width &&
				      offset == 0x1000 + rows[i].offset,
			      "%s: 0x%llx, %u bytes at 0x%llx", rows[i].name,
			      (unsigned long long)value, width, (unsigned long long)offset);
	}
}

START_TEST(as_kvm_writes_it_64)
{
	fill_image();
	check_rows(rows64, sizeof(rows64) / sizeof(rows64[0]), NM_LAYOUT_KVM);
}
END_TEST

START_TEST(as_kvm_writes_it_32)
{
	fill_image();
	check_rows(rows32, sizeof(rows32) / sizeof(rows32[0]), NM_LAYOUT_SMRAM32);
}
END_TEST

/* What RSM loads is what KVM writes, but for the revision id; the tables above have no field that
 * RSM does not load. */
START_TEST(every_loaded_field_is_checked)
{
	static const struct {
		const char *map, *name;
	} loaded[] = {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) LOADED_##loaded(#map, name)
#define LOADED_0(map, name)
#define LOADED_1(map, name) {map, "smram." name},
#include "smram/layout.def"
#undef SMRAM_FIELD
	};
	size_t count64 = 0, count32 = 0;

	for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++) {
		bool is64 = strcmp(loaded[i].map, "smram64") == 0;
		const struct row *rows = is64 ? rows64 : rows32;
		size_t n = is64 ? sizeof(rows64) / sizeof(rows64[0])
				: sizeof(rows32) / sizeof(rows32[0]);
		bool found = false;

		for (size_t k = 0; k < n; k++)
			found = found || strcmp(rows[k].name, loaded[i].name) == 0;
		ck_assert_msg(found, "%s %s", loaded[i].map, loaded[i].name);
		*(is64 ? &count64 : &count32) += 1;
	}
	ck_assert_uint_eq(count64, sizeof(rows64) / sizeof(rows64[0]) - 1);
	ck_assert_uint_eq(count32, sizeof(rows32) / sizeof(rows32[0]) - 1);
}
END_TEST

/* Each map is without holes or overlaps, from its start to SMBASE + 0x10000. */
START_TEST(maps_have_no_holes)
{
	static const struct {
		const char *map, *name;
		unsigned start, offset, width;
	} all[] = {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded)                                       \
	{#map, name, SMRAM_START_##map, offset, width},
#include "smram/layout.def"
#undef SMRAM_FIELD
	};
	const size_t count = sizeof(all) / sizeof(all[0]);
	unsigned maps = 0;

	for (size_t i = 0; i < count; i++) {
		bool first = i == 0 || strcmp(all[i - 1].map, all[i].map) != 0;

		ck_assert_msg(all[i].offset ==
				      (first ? all[i].start : all[i - 1].offset + all[i - 1].width),
			      "%s %s", all[i].map, all[i].name);
		if (i + 1 == count || strcmp(all[i + 1].map, all[i].map) != 0)
			ck_assert_uint_eq(all[i].offset + all[i].width, 0x10000);
		maps += first;
	}
	ck_assert_uint_eq(maps, 4);
}
END_TEST

/* A field that only the 64-bit map has is absent in the other, not zero. */
START_TEST(other_map_lacks_fields)
{
	struct nm_vcpu vcpu = {.view = {.smram = image}};
	const struct nm_origin origin = {.size = sizeof(image), .layout = NM_LAYOUT_SMRAM32};

	nm_vcpu_set_item(&vcpu, NESTMIG_ITEM_SMRAM, origin);
	ck_assert(!nm_vcpu_field(&vcpu, "smram.efer", NULL, NULL, NULL));
	ck_assert(!nm_vcpu_field(&vcpu, "smram.r8", NULL, NULL, NULL));
	ck_assert(nm_vcpu_field(&vcpu, "smram.cr0", NULL, NULL, NULL));
}
END_TEST

/* All names of the 32-bit map are in the registry, which is made of the 64-bit one. */
START_TEST(names_agree)
{
	static const char *const names[] = {
#define SMRAM_FIELD(map, offset, width, ident, name, loaded) ONLY_##map("smram." name)
#define ONLY_smram64(name)
#define ONLY_smram32(name) name,
#define ONLY_intel64(name)
#define ONLY_intel32(name)
#define SMRAM_RANGE(map, offset, width, ident, name, loaded)
#include "smram/layout.def"
#undef SMRAM_FIELD
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(nm_field_find(names[i]) != NULL, "%s", names[i]);
}
END_TEST

START_TEST(cpuid_decides)
{
	struct nestmig_cpuid cpuid = {0};

	ck_assert_int_eq(smram_map_of_cpuid(&cpuid), SMRAM_MAP_UNKNOWN);
	cpuid.have = 1U << NESTMIG_CPUID_80000001_EDX;
	ck_assert_int_eq(smram_map_of_cpuid(&cpuid), SMRAM_MAP_32);
	cpuid.word[NESTMIG_CPUID_80000001_EDX] = 1U << 29;
	ck_assert_int_eq(smram_map_of_cpuid(&cpuid), SMRAM_MAP_64);
}
END_TEST

/* As enter_smm_get_segment_flags packs them: G 23, D/B 22, L 21, AVL 20, P 15, DPL 13, S 12, type 8;
 * the 64-bit map has that shifted right by 8. */
START_TEST(attributes)
{
	static const struct {
		unsigned flags, type, s, dpl, p, avl, l, db, g;
	} all[] = {
		{11U << 8, 11, 0, 0, 0, 0, 0, 0, 0}, {1U << 12, 0, 1, 0, 0, 0, 0, 0, 0},
		{3U << 13, 0, 0, 3, 0, 0, 0, 0, 0},  {1U << 15, 0, 0, 0, 1, 0, 0, 0, 0},
		{1U << 20, 0, 0, 0, 0, 1, 0, 0, 0},  {1U << 21, 0, 0, 0, 0, 0, 1, 0, 0},
		{1U << 22, 0, 0, 0, 0, 0, 0, 1, 0},  {1U << 23, 0, 0, 0, 0, 0, 0, 0, 1},
	};
	unsigned a = all[_i].flags >> 8;

	ck_assert_uint_eq(SMRAM_ATTRIB_TYPE(a), all[_i].type);
	ck_assert_uint_eq(SMRAM_ATTRIB_S(a), all[_i].s);
	ck_assert_uint_eq(SMRAM_ATTRIB_DPL(a), all[_i].dpl);
	ck_assert_uint_eq(SMRAM_ATTRIB_P(a), all[_i].p);
	ck_assert_uint_eq(SMRAM_ATTRIB_AVL(a), all[_i].avl);
	ck_assert_uint_eq(SMRAM_ATTRIB_L(a), all[_i].l);
	ck_assert_uint_eq(SMRAM_ATTRIB_DB(a), all[_i].db);
	ck_assert_uint_eq(SMRAM_ATTRIB_G(a), all[_i].g);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("smram");
	TCase *maps = tcase_create("maps");

	tcase_add_test(maps, as_kvm_writes_it_64);
	tcase_add_test(maps, as_kvm_writes_it_32);
	tcase_add_test(maps, every_loaded_field_is_checked);
	tcase_add_test(maps, maps_have_no_holes);
	tcase_add_test(maps, other_map_lacks_fields);
	tcase_add_test(maps, names_agree);
	tcase_add_test(maps, cpuid_decides);
	tcase_add_loop_test(maps, attributes, 0, 8);
	suite_add_tcase(suite, maps);
	return run_suite(suite);
}
