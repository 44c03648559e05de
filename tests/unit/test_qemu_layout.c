// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a guest has the RAM blocks of a stream: genuine streams of QEMU under TCG (cases/streams/make-tcg.sh), in
 * which some pages hold their own address, and streams that stream_new.h builds, with any lengths and CMOS.
 */
#include "pointed.h"
#include "stream_new.h"

#define GIB   (UINT64_C(1) << 30)
#define ABOVE (4 * GIB)

static struct nestmig_state *state;
static struct maker m;

static void setup(void)
{
	m = (struct maker){0};
	state = NULL;
}

static void teardown(void)
{
	nestmig_state_free(state);
	maker_free(&m);
}

/* ---- Genuine streams --------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint64_t low, high; /* bytes */
	uint64_t marked[4]; /* pages that hold their address */
	uint64_t zero[2];
} genuines[] = {
	{"high", 2 * GIB, GIB, {0x7fffe000, ABOVE, 0x13ffff000}, {0x7ffff000, 0x100001000}},
	{"high-i440fx", 3 * GIB, GIB / 2, {0xbfffe000, ABOVE, 0x11ffff000}, {0xbffff000}},
	{"numa",
	 2 * GIB,
	 GIB,
	 {0x3ffff000, 0x40000000, 0x7fffe000, ABOVE},
	 {0x7ffff000, 0x13ffff000}},
	{"backend", 2 * GIB, GIB, {ABOVE}, {0x101000}},
	{"max-ram", 64 << 20, 0, {0x3fff000}, {0x101000}},
};

START_TEST(pages_are_where_the_guest_has_them)
{
	struct nestmig_detail detail = {0};
	char path[512], text[64];
	uint8_t page[4096];

	snprintf(path, sizeof(path), "%s/cases/streams/tcg-%s.qemu.xz", TESTS_DIR,
		 genuines[_i].name);
	ck_ok(nestmig_state_read(path, 0, &state, &detail), detail);
	for (size_t i = 0; i < 4 && genuines[_i].marked[i]; i++) {
		uint64_t gpa = genuines[_i].marked[i];

		ck_ok(nm_state_fetch_page(state, gpa, page, &detail), detail);
		snprintf(text, sizeof(text), "page %#llx\n", (unsigned long long)gpa);
		ck_assert_mem_eq(page, text, strlen(text));
	}
	for (size_t i = 0; i < 2 && genuines[_i].zero[i]; i++) {
		ck_ok(nm_state_fetch_page(state, genuines[_i].zero[i], page, &detail), detail);
		ck_assert_uint_eq(page[0], 0);
	}
	ck_assert_int_eq(nm_state_fetch_page(state, genuines[_i].low, page, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nm_state_fetch_page(state, ABOVE + genuines[_i].high, page, &detail),
			 NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(state->remark == NULL, genuines[_i].high != 0);
}
END_TEST

/* ---- Made streams ------------------------------------------------------------------------------ */

#define AS_IS UINT64_MAX

struct layout {
	const char *machine;
	struct {
		const char *name;
		uint64_t size;
	} blocks[4];
	uint64_t cmos_low, cmos_high; /* bytes from 0 and from 4 GiB on; AS_IS: no CMOS */
	uint64_t low, high;           /* what is known */
	const char *xml, *remark;
};

#define LIES        "does not tell the machine's default"
#define NAMES       "names of the RAM blocks"
#define AMD         "1 TiB"
#define XML(inside) "<domain type='kvm'>" inside "</domain>"
#define CELLS       "<cpu><numa><cell id='0'/><cell id='1'/></numa></cpu>"

static const struct layout layouts[] = {
	/* What machines have by default, at the sizes where it changes. */
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, 2 * GIB, 3 * GIB, 2 * GIB, 3 * GIB, NULL, NULL},
	{"pc-q35-7.2", {{"pc.ram", 0xaffff000}}, 0xaffff000, 0, 0xaffff000, 0, NULL, NULL},
	{"pc-q35-7.2",
	 {{"pc.ram", 0xb0000000}},
	 2 * GIB,
	 0x30000000,
	 2 * GIB,
	 0x30000000,
	 NULL,
	 NULL},
	{"pc-i440fx-9.0", {{"pc.ram", 0xdffff000}}, 0xdffff000, 0, 0xdffff000, 0, NULL, NULL},
	{"pc-i440fx-9.0", {{"pc.ram", 0xe0000000}}, 3 * GIB, GIB / 2, 3 * GIB, GIB / 2, NULL, NULL},
	{"pc-i440fx-2.0", {{"pc.ram", 8 * GIB}}, 3 * GIB, 5 * GIB, 3 * GIB, 5 * GIB, NULL, NULL},
	{"pc-i440fx-1.7",
	 {{"pc.ram", 8 * GIB}},
	 0xe0000000,
	 0x120000000,
	 0xe0000000,
	 0x120000000,
	 NULL,
	 NULL},
	{"pc-q35-rhel9.2.0", {{"pc.ram", 5 * GIB}}, 2 * GIB, 3 * GIB, 2 * GIB, 3 * GIB, NULL, NULL},
	/* A CMOS that says something else: what both have. */
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, GIB, 4 * GIB, GIB, 0, NULL, LIES},
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, 3 * GIB, 2 * GIB, 2 * GIB, 0, NULL, LIES},
	{"pc-i440fx-9.0", {{"pc.ram", 5 * GIB}}, 0xe0000000, 0x60000000, 3 * GIB, 0, NULL, LIES},
	/* That does not fit, or is not there. */
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, GIB, 3 * GIB, 2 * GIB, 0, NULL, LIES},
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, 2 * GIB, 4 * GIB, 2 * GIB, 0, NULL, LIES},
	{"pc-q35-7.2", {{"pc.ram", 5 * GIB}}, AS_IS, 0, 2 * GIB, 0, NULL, "no CMOS"},
	/* Nodes of NUMA, in whatever order and with DIMMs. */
	{"pc-q35-7.2",
	 {{"ram-node1", 3 * GIB}, {"ram-node0", GIB}},
	 2 * GIB,
	 2 * GIB,
	 2 * GIB,
	 2 * GIB,
	 NULL,
	 NULL},
	{"pc-q35-7.2",
	 {{"/objects/ram-node0", GIB}, {"/objects/ram-node1", 3 * GIB}, {"memdimm0", GIB}},
	 2 * GIB,
	 2 * GIB,
	 2 * GIB,
	 2 * GIB,
	 XML(CELLS),
	 NULL},
	{"pc-q35-7.2",
	 {{"ram-node0", GIB}, {"ram-node2", 3 * GIB}},
	 2 * GIB,
	 2 * GIB,
	 0,
	 0,
	 NULL,
	 NAMES},
	{"pc-q35-7.2", {{"ram-node0", GIB}, {"ram-node01", GIB}}, GIB, 0, GIB, 0, NULL, NULL},
	{"pc-q35-7.2", {{"ram-node0", GIB}, {"pc.ram", GIB}}, 2 * GIB, 0, 0, 0, NULL, NAMES},
	{"pc-q35-7.2", {{"ram-node0", 4 * GIB}}, 2 * GIB, 2 * GIB, 0, 0, XML(CELLS), NAMES},
	{"pc-q35-7.2", {{"ram-node0", 4 * GIB}}, 2 * GIB, 2 * GIB, 0, 0, XML("<cpu/>"), NAMES},
	{"pc-q35-7.2", {{"ram-node0", 4 * GIB}}, 2 * GIB, 2 * GIB, 0, 0, "<domain", NAMES},
	/* A backend of any name, if there is one. */
	{"pc-q35-7.2", {{"mem", 5 * GIB}}, 2 * GIB, 3 * GIB, 2 * GIB, 3 * GIB, NULL, NULL},
	{"pc-q35-7.2", {{"mem", 5 * GIB}}, 2 * GIB, 2 * GIB, 0, 0, NULL, NAMES},
	{"pc-q35-7.2", {{"mem0", 4 * GIB}, {"mem1", GIB}}, 2 * GIB, 2 * GIB, 0, 0, NULL, NAMES},
	{"pc-q35-7.2",
	 {{"pc.ram", 5 * GIB}, {"mem1", GIB}},
	 2 * GIB,
	 3 * GIB,
	 2 * GIB,
	 3 * GIB,
	 NULL,
	 NULL},
	{"pc-q35-7.2", {{"pc.bios", GIB}, {"0000:00:01.0/mem", GIB}}, GIB, 0, 0, 0, NULL, NULL},
	{"microvm", {{"mem", GIB}}, GIB, 0, 0, 0, NULL, NULL},
	/* With a CPU of AMD RAM may go to 1 TiB. */
	{"pc-q35-7.1", {{"pc.ram", 1010 * GIB}}, 2 * GIB, 1008 * GIB, 2 * GIB, 0, NULL, AMD},
	{"pc-q35-7.0",
	 {{"pc.ram", 1010 * GIB}},
	 2 * GIB,
	 1008 * GIB,
	 2 * GIB,
	 1008 * GIB,
	 NULL,
	 NULL},
	{"pc-q35-jammy", {{"pc.ram", 1010 * GIB}}, 2 * GIB, 1008 * GIB, 2 * GIB, 0, NULL, AMD},
	{"pc-q35-10.0",
	 {{"pc.ram", 977 * GIB}},
	 2 * GIB,
	 975 * GIB,
	 2 * GIB,
	 975 * GIB,
	 NULL,
	 NULL},
	{"pc-q35-10.0", {{"pc.ram", 978 * GIB}}, 2 * GIB, 976 * GIB, 2 * GIB, 0, NULL, AMD},
	{"pc-q35-7.2",
	 {{"pc.ram", 5 * GIB}},
	 2 * GIB,
	 3 * GIB,
	 2 * GIB,
	 0,
	 XML("<maxMemory slots='16' unit='KiB'>1099511627776</maxMemory>"),
	 AMD},
	{"pc-q35-7.2",
	 {{"pc.ram", 5 * GIB}},
	 2 * GIB,
	 3 * GIB,
	 2 * GIB,
	 0,
	 XML("<devices><controller><pcihole64>1</pcihole64></controller></devices>"),
	 AMD},
	/* No guest has so much. */
	{"pc-q35-7.0", {{"pc.ram", UINT64_C(1) << 53}}, 2 * GIB, 0, 0, 0, NULL, NAMES},
	{"pc-q35-7.0",
	 {{"pc.ram", 5 * GIB + 512}, {"0000:00:01.0/mem", 3584}},
	 2 * GIB,
	 3 * GIB,
	 0,
	 0,
	 NULL,
	 NAMES},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static void make_cmos(uint64_t low, uint64_t high)
{
	size_t at;

	make_device(&m, 11, "mc146818rtc", 3);
	at = m.s.size;
	put_fill(&m.s, 0, 137);
	low = low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0;
	m.s.p[at + 0x34] = (uint8_t)low;
	m.s.p[at + 0x35] = (uint8_t)(low >> 8);
	for (unsigned i = 0; i < 3; i++)
		m.s.p[at + 0x5b + i] = (uint8_t)(high >> (16 + 8 * i));
	make_device_end(&m, 11, 0, "");
}

static void make_layout(const struct layout *l)
{
	uint64_t total = 0;

	make_head(&m, l->machine);
	put_section(&m.s, 1, ID_RAM, "ram", 0, 4);
	for (size_t i = 0; i < 4; i++)
		total += l->blocks[i].size;
	put_be(&m.s, (total & ~UINT64_C(0xfff)) | 0x004, 8);
	for (size_t i = 0; i < 4 && l->blocks[i].name; i++)
		make_block(&m, l->blocks[i].name, l->blocks[i].size);
	put_be(&m.s, 0x010, 8);
	make_footer(&m, ID_RAM);
	make_part(&m, 3, UINT64_MAX, 0);
	make_devices(&m);
	if (l->cmos_low != AS_IS)
		make_cmos(l->cmos_low, l->cmos_high);
	make_end(&m);
}

static void read_layout(const char *xml)
{
	struct nm_source *source = NULL;
	struct nestmig_detail detail = {0};

	ck_ok(nm_state_new("test", NULL, &state, &detail), detail);
	ck_ok(nm_source_memory(m.s.p, m.s.size, &source, &detail), detail);
	ck_ok(nm_state_add_source(state, source, &detail), detail);
	state->domain_xml = xml ? strdup(xml) : NULL;
	state->stream = source;
	ck_ok(nm_qemu_read(state, source, &detail), detail);
}

static void check_layout(uint64_t low, uint64_t high)
{
	ck_assert(!state->memory_known);
	ck_assert_int_eq(nm_state_backed(state, low, 1), NESTMIG_BACKED_UNKNOWN);
	ck_assert_int_eq(nm_state_backed(state, ABOVE + high, 1), NESTMIG_BACKED_UNKNOWN);
	if (low)
		ck_assert_int_eq(nm_state_backed(state, 1 << 20, low - (1 << 20)),
				 NESTMIG_BACKED_YES);
	if (high)
		ck_assert_int_eq(nm_state_backed(state, ABOVE, high), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, UINT64_C(1) << 40, 1), NESTMIG_BACKED_UNKNOWN);
}

START_TEST(what_is_known_of_a_layout)
{
	const struct layout *l = &layouts[_i];

	make_layout(l);
	read_layout(l->xml);
	check_layout(l->low, l->high);
	ck_assert_int_eq(state->remark != NULL, l->remark != NULL);
	if (l->remark)
		ck_assert_msg(strstr(state->remark, l->remark) != NULL, "%s", state->remark);
}
END_TEST

/* With VMX the CPU is none of AMD. */
START_TEST(a_guest_of_intel_has_no_hole_at_1_tib)
{
	size_t at, cmos;

	m.s = genuine("vmx1");
	at = (size_t)((uint8_t *)memmem(m.s.p, 4096, "\6pc.ram", 7) - m.s.p);
	set_be(m.s.p + at + 7, 1010 * GIB, 8);
	at = (size_t)((uint8_t *)memmem(m.s.p, 4096, "\3ram", 4) - m.s.p) + 12;
	set_be(m.s.p + at, nm_be64(m.s.p + at) - (32 << 20) + 1010 * GIB, 8);
	cmos = cmos_of(&m.s);
	m.s.p[cmos + 0x34] = 0x00;
	m.s.p[cmos + 0x35] = 0x7f;
	m.s.p[cmos + 0x5b] = m.s.p[cmos + 0x5c] = 0;
	m.s.p[cmos + 0x5d] = 1008 / 4; /* of 4 GiB */
	read_layout(NULL);
	ck_assert_str_eq(state->machine, "pc-q35-7.2");
	ck_assert_int_eq(nm_state_backed(state, ABOVE, 1008 * GIB), NESTMIG_BACKED_YES);
}
END_TEST

/* What a vCPU points at above 4 GiB, which a guest's CMOS makes unknown if it says something else. */
START_TEST(memory_pointed_at_above_4_gib)
{
	static const uint8_t old[] = {0, 0, 0, 0, 0, 0x11, 0x30, 0};
	const struct layout *l = &layouts[0];
	struct nm_pointed pointed[NM_POINTED_MAX];
	uint8_t *at;

	for (int lie = 0; lie < 2; lie++) {
		make_layout(l);
		at = memmem(m.s.p + m.cpu, 4000, old, sizeof(old));
		ck_assert_ptr_nonnull(at);
		set_be(at, ABOVE + 0x5000, 8);
		m.s.p[cmos_of(&m.s) + 0x5b] ^= (uint8_t)lie;
		read_layout(NULL);
		ck_field(state, 0, "nested_state.vmcb_pa", ABOVE + 0x5000);
		ck_assert_uint_gt(nm_vcpu_pointed(state, &state->vcpus[0], pointed), 0);
		ck_assert_str_eq(pointed[0].name, "nested_state.vmcb_pa");
		ck_assert_int_eq(pointed[0].backed,
				 lie ? NESTMIG_BACKED_UNKNOWN : NESTMIG_BACKED_YES);
		teardown();
		setup();
	}
}
END_TEST

/* Two nodes with mapped-ram: each block has a bitmap of its own. */
START_TEST(nodes_with_mapped_ram)
{
	static const struct layout l = {"pc-q35-9.0",
					{{"ram-node1", 2 << 20}, {"ram-node0", 2 << 20}},
					4 << 20,
					0,
					0,
					0,
					NULL,
					NULL};
	const struct nm_ram_block *blocks;
	uint8_t byte = 0;

	m.mapped_ram = true;
	make_layout(&l);
	read_layout(NULL);
	blocks = state->ram.blocks;
	ck_assert_uint_eq(state->ram.block_count, 2);
	ck_assert_str_eq(blocks[0].name, "ram-node0");
	m.s.p[blocks[0].bitmap + 0x101 / 8] |= 1 << 0x101 % 8;
	m.s.p[blocks[0].pages + 0x101000] = 7;
	m.s.p[blocks[1].bitmap] |= 1;
	m.s.p[blocks[1].pages] = 9;
	ck_assert_int_eq(nm_state_read_memory(state, 0x101000, &byte, 1), NESTMIG_OK);
	ck_assert_uint_eq(byte, 7);
	ck_assert_int_eq(nm_state_read_memory(state, 0x200000, &byte, 1), NESTMIG_OK);
	ck_assert_uint_eq(byte, 9);
	ck_assert_int_eq(nm_state_read_memory(state, 0x301000, &byte, 1), NESTMIG_OK);
	ck_assert_uint_eq(byte, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_layout");
	TCase *tcase = tcase_create("qemu_layout");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, pages_are_where_the_guest_has_them, 0,
			    sizeof(genuines) / sizeof(genuines[0]));
	tcase_add_loop_test(tcase, what_is_known_of_a_layout, 0, LAYOUTS);
	tcase_add_test(tcase, a_guest_of_intel_has_no_hole_at_1_tib);
	tcase_add_test(tcase, memory_pointed_at_above_4_gib);
	tcase_add_test(tcase, nodes_with_mapped_ram);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
