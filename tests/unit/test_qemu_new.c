// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams as QEMU 8.0 to 11.0 write them, built by stream_new.h: what is in them, and in what order. */
#include "stream_new.h"

#define MACHINE "pc-q35-10.1"
#define NOWHERE UINT64_MAX

static struct maker m;
static struct nestmig_state *state;

static void setup(void)
{
	m = (struct maker){0};
	state = NULL;
}

static void teardown(void)
{
	maker_free(&m);
	nestmig_state_free(state);
}

static void again(void)
{
	maker_free(&m);
	nestmig_state_free(state);
	setup();
}

static void read_it(void)
{
	state = must_read(&m.s);
	state->stream = state->sources[0];
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L2");
	ck_field(state, 0, "nested_state.vmcb_pa", NEW_VMCB_PA);
	ck_field(state, 0, "sregs.apic_base", 0xfee00900);
	ck_assert_uint_eq(state->vcpus[0].origin[NESTMIG_ITEM_SREGS].offset, m.cpu);
}

static struct nm_page page_at(uint64_t gpa)
{
	struct nm_page page = {.gpa = gpa};
	struct nestmig_detail detail = {0};

	ck_assert_ptr_nonnull(state->find_pages);
	ck_ok(state->find_pages(state, &page, 1, &detail), detail);
	return page;
}

/* A page that make_part has put. */
static void check_page(uint64_t gpa, uint8_t value)
{
	struct nm_page page = page_at(gpa);

	ck_assert_int_eq(page.kind, NM_PAGE_STORED);
	ck_assert_uint_eq(m.s.p[page.offset], value);
	ck_assert_uint_eq(m.s.p[page.offset + 4095], value);
}

/* The end of RAM as QEMU 10.0 and later write it. */
static void ram_end(uint64_t gpa, uint8_t value)
{
	make_command(&m, 11, NULL, 0);
	make_part(&m, 3, gpa, value);
}

static void finish(bool vmdesc)
{
	make_devices(&m);
	if (vmdesc)
		make_end(&m);
	else
		put_be(&m.s, 0, 1);
}

/* ---- Orders of devices ------------------------------------------------------------------------- */

/* _i: without, with a vmdesc. */
START_TEST(apic_first_and_switchover_start)
{
	make_head(&m, MACHINE);
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	ram_end(0x6000, 2);
	finish(_i);
	read_it();
	ck_assert_str_eq(nestmig_state_format(state), "qemu-stream");
	ck_assert_str_eq(state->machine, MACHINE);
	check_page(0x5000, 1);
	check_page(0x6000, 2);
	ck_assert_int_eq(page_at(0x7000).kind, NM_PAGE_ABSENT);
}
END_TEST

/* _i: with a vmdesc; before START of RAM instead of behind it. */
START_TEST(a_device_that_is_set_up_early)
{
	make_head(&m, MACHINE);
	if (!(_i & 2))
		make_ram(&m);
	make_filled(&m, ID_EARLY, "virtio-mem-device-early", 53);
	if (_i & 2)
		make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	ram_end(NOWHERE, 0);
	finish(_i & 1);
	read_it();
	check_page(0x5000, 1);
	/* It is not lost: the same id for another device is named. */
	set_be(m.s.p + m.cpu - 16, ID_EARLY, 4);
	nestmig_state_free(state);
	state = NULL;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "");
}
END_TEST

START_TEST(dirty_bitmaps)
{
	make_head(&m, MACHINE);
	make_ram(&m);
	make_bitmaps(&m, 1);
	make_part(&m, 2, 0x5000, 1);
	make_bitmaps(&m, 2);
	ram_end(0x6000, 2);
	make_bitmaps(&m, 3);
	finish(_i);
	read_it();
	check_page(0x5000, 1);
	check_page(0x6000, 2);
}
END_TEST

/* Sections whose length only QEMU knows: with a vmdesc they do not matter. */
START_TEST(a_section_in_parts_that_is_not_known)
{
	make_head(&m, MACHINE);
	make_ram(&m);
	put_section(&m.s, 1, 9, "0000:00:03.0/vfio", 0, 1);
	put_be(&m.s, UINT64_C(0xffffffffef100003), 8);
	make_footer(&m, 9);
	make_part(&m, 2, 0x5000, 1);
	ram_end(NOWHERE, 0);
	finish(_i);
	if (!_i) {
		must_refuse(&m.s, NESTMIG_ERR_UNSUPPORTED, "vfio");
		return;
	}
	read_it();
	ck_assert_uint_eq(state->extent_count, 0);
}
END_TEST

START_TEST(without_configuration)
{
	make_head(&m, NULL);
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	ram_end(NOWHERE, 0);
	finish(_i);
	read_it();
	ck_assert_ptr_null(state->machine);
	check_page(0x5000, 1);
}
END_TEST

START_TEST(without_footers)
{
	m.no_footers = true;
	make_head(&m, "pc-i440fx-2.3");
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	make_part(&m, 3, NOWHERE, 0);
	finish(_i);
	if (!_i) {
		must_refuse(&m.s, NESTMIG_ERR_UNSUPPORTED, "neither a vmdesc nor footers");
		return;
	}
	read_it();
	check_page(0x5000, 1);
}
END_TEST

/* ---- The configuration ------------------------------------------------------------------------- */

START_TEST(uuid_and_page_bits)
{
	size_t at;

	m.uuid = true;
	make_head(&m, MACHINE);
	at = m.s.size;
	put_subsection(&m.s, "configuration/target-page-bits");
	put_be(&m.s, 12, 4);
	make_ram(&m);
	ram_end(0x5000, 1);
	finish(_i);
	read_it();
	check_page(0x5000, 1);
	nestmig_state_free(state);
	state = NULL;
	m.s.p[at + 6 + strlen("configuration/target-page-bits") + 3] = 13;
	if (_i) { /* RAM is not understood then */
		read_it();
		ck_assert_ptr_null(state->find_pages);
	} else {
		must_refuse(&m.s, NESTMIG_ERR_UNSUPPORTED, "2^13");
	}
}
END_TEST

START_TEST(a_subsection_of_the_configuration_twice)
{
	m.uuid = true;
	make_head(&m, MACHINE);
	put_subsection(&m.s, "configuration/uuid");
	put_fill(&m.s, 0, 16);
	make_ram(&m);
	ram_end(NOWHERE, 0);
	finish(_i);
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "configuration/uuid is there twice");
}
END_TEST

/* ---- Commands ---------------------------------------------------------------------------------- */

static void advise(uint64_t sizes)
{
	uint8_t data[16] = {0};

	set_be(data, sizes, 8);
	set_be(data + 8, 4096, 8);
	make_command(&m, 3, data, sizeof(data));
}

START_TEST(commands_are_passed)
{
	make_head(&m, MACHINE);
	make_command(&m, 1, NULL, 0);
	make_command(&m, 2, "\0\0\0\1", 4);
	make_command(&m, 3, NULL, 0);
	make_ram(&m);
	make_command(&m, 8, NULL, 0);
	make_part(&m, 2, 0x5000, 1);
	make_command(&m, 6, "\0\6pc.ram\0abcdefghijklmnop", 25);
	make_command(&m, 9, NULL, 0);
	make_command(&m, 10, "\6pc.ram", 7);
	ram_end(NOWHERE, 0);
	finish(_i);
	read_it();
	check_page(0x5000, 1);
}
END_TEST

static const struct {
	uint16_t command, size;
	enum nestmig_error error;
} bad_commands[] = {
	{0, 0, NESTMIG_ERR_UNSUPPORTED}, {12, 0, NESTMIG_ERR_UNSUPPORTED},
	{2, 0, NESTMIG_ERR_FORMAT},      {2, 5, NESTMIG_ERR_FORMAT},
	{3, 8, NESTMIG_ERR_FORMAT},      {7, 0, NESTMIG_ERR_FORMAT},
	{11, 1, NESTMIG_ERR_FORMAT},     {11, 60000, NESTMIG_ERR_FORMAT},
};

START_TEST(commands_that_no_qemu_takes)
{
	uint8_t data[60000] = {0};

	make_head(&m, MACHINE);
	make_ram(&m);
	make_command(&m, bad_commands[_i].command, data, bad_commands[_i].size);
	ram_end(NOWHERE, 0);
	finish(false);
	must_refuse(&m.s, bad_commands[_i].error, "command");
}
END_TEST

/* With postcopy a block that is made of larger pages says so. */
static const struct {
	uint64_t sizes, page_size;
} page_sizes[] = {{0x1000, 0}, {0x201000, 0x200000}, {0x201000, 0}, {0x40201000, 0x40000000}};

START_TEST(page_sizes_of_blocks)
{
	m.page_size = page_sizes[_i].page_size;
	make_head(&m, MACHINE);
	advise(page_sizes[_i].sizes);
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	ram_end(NOWHERE, 0);
	finish(true);
	read_it();
	check_page(0x5000, 1);
	ck_assert_uint_eq(state->extents[1].size, NEW_RAM - 0x100000);
}
END_TEST

/* ---- Postcopy ---------------------------------------------------------------------------------- */

static void postcopy(void)
{
	struct maker inner = {0};

	make_head(&m, MACHINE);
	make_command(&m, 1, NULL, 0);
	advise(0x1000);
	make_ram(&m);
	make_part(&m, 2, 0x5000, 1);
	/* Device state is in a package; RAM goes on behind it. */
	make_command(&inner, 4, NULL, 0);
	make_devices(&inner);
	make_command(&inner, 2, "\0\0\0\4", 4);
	make_command(&inner, 5, NULL, 0);
	make_command(&m, 7,
		     (const uint8_t[]){0, 0, (uint8_t)(inner.s.size >> 8), (uint8_t)inner.s.size},
		     4);
	m.cpu = m.s.size + inner.cpu;
	m.devices = m.s.size;
	put(&m.s, inner.s.p, inner.s.size);
	make_part(&m, 2, 0x5000, 3);
	make_part(&m, 3, 0x6000, 4);
	maker_free(&inner);
}

START_TEST(postcopy_has_its_devices_in_a_package)
{
	postcopy();
	put_be(&m.s, 0, 1);
	read_it();
	ck_assert_str_eq(state->capability, "postcopy-ram");
	check_page(0x5000, 3);
	check_page(0x6000, 4);
}
END_TEST

START_TEST(a_package_that_is_wrong)
{
	postcopy();
	put_be(&m.s, 0, 1);
	m.s.p[m.devices - 1]--; /* its length */
	must_refuse(&m.s, NESTMIG_ERR_TRUNCATED, "");
	m.s.p[m.devices - 1] += 2;
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "");
	m.s.p[m.devices - 4] = 0x7f;
	must_refuse(&m.s, NESTMIG_ERR_TRUNCATED, "packaged");
	again();
	postcopy();
	make_devices(&m); /* and once more behind it */
	put_be(&m.s, 0, 1);
	must_refuse(&m.s, NESTMIG_ERR_FORMAT, "behind the package");
	again();
	postcopy();
	set_be(m.s.p + m.devices, 0x08, 1);
	set_be(m.s.p + m.devices + 1, 7, 2); /* in the place of "listen" */
	put_be(&m.s, 0, 1);
	must_refuse(&m.s, NESTMIG_ERR_UNSUPPORTED, "inside of a package");
}
END_TEST

/* ---- x-ignore-shared --------------------------------------------------------------------------- */

START_TEST(shared_ram_is_not_at_hand)
{
	uint8_t byte;

	m.ignore_shared = true;
	make_head(&m, MACHINE);
	make_ram(&m);
	ram_end(NOWHERE, 0);
	finish(_i);
	read_it();
	ck_assert_str_eq(state->capability, "x-ignore-shared");
	ck_assert_int_eq(nm_state_backed(state, 0x5000, 4096), NESTMIG_BACKED_YES);
	ck_assert_int_eq(page_at(0x5000).kind, NM_PAGE_ABSENT);
	ck_assert_int_eq(nm_state_read_memory(state, 0x5000, &byte, 1), NESTMIG_ERR_NOT_FOUND);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_new");
	TCase *tcase = tcase_create("qemu_new");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, apic_first_and_switchover_start, 0, 2);
	tcase_add_loop_test(tcase, a_device_that_is_set_up_early, 0, 4);
	tcase_add_loop_test(tcase, dirty_bitmaps, 0, 2);
	tcase_add_loop_test(tcase, a_section_in_parts_that_is_not_known, 0, 2);
	tcase_add_loop_test(tcase, without_configuration, 0, 2);
	tcase_add_loop_test(tcase, without_footers, 0, 2);
	tcase_add_loop_test(tcase, uuid_and_page_bits, 0, 2);
	tcase_add_loop_test(tcase, a_subsection_of_the_configuration_twice, 0, 2);
	tcase_add_loop_test(tcase, commands_are_passed, 0, 2);
	tcase_add_loop_test(tcase, commands_that_no_qemu_takes, 0,
			    sizeof(bad_commands) / sizeof(bad_commands[0]));
	tcase_add_loop_test(tcase, page_sizes_of_blocks, 0,
			    sizeof(page_sizes) / sizeof(page_sizes[0]));
	tcase_add_test(tcase, postcopy_has_its_devices_in_a_package);
	tcase_add_test(tcase, a_package_that_is_wrong);
	tcase_add_loop_test(tcase, shared_ram_is_not_at_hand, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
