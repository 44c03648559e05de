// SPDX-License-Identifier: GPL-2.0-or-later
/* QEMU streams: the genuine ones, and copies of them in which a few bytes are different. */
#include <fcntl.h>
#include <unistd.h>

#include "stream.h"

static struct stream s;
static struct nestmig_state *state;

static void setup(void)
{
	s = (struct stream){0};
	state = NULL;
}

static void teardown(void)
{
	stream_free(&s);
	nestmig_state_free(state);
}

static void read_again(void)
{
	nestmig_state_free(state);
	state = NULL;
	state = must_read(&s);
}

/* ---- What is in the genuine streams ----------------------------------------------------------- */

static const struct {
	const char *stream;
	unsigned vcpu;
	const char *name;
	uint64_t value;
} known[] = {
	{"dev1", 0, "regs.rip", 0x1006dd},
	{"dev1", 0, "regs.rax", UINT64_C(0x46a0731a0)},
	{"dev1", 0, "regs.rflags", 6},
	{"dev1", 0, "sregs.cr0", 0x80010033},
	{"dev1", 0, "sregs.cr3", 0x101000},
	{"dev1", 0, "sregs.cr4", 0x620},
	{"dev1", 0, "sregs.efer", 0x1500},
	{"dev1", 0, "sregs.apic_base", 0xfee00900},
	{"dev1", 0, "sregs.cr8", 0},
	{"dev1", 0, "sregs.cs.selector", 8},
	{"dev1", 0, "sregs.cs.limit", 0xffffffff},
	{"dev1", 0, "sregs.cs.type", 11},
	{"dev1", 0, "sregs.cs.l", 1},
	{"dev1", 0, "sregs.cs.g", 1},
	{"dev1", 0, "sregs.cs.db", 0},
	{"dev1", 0, "sregs.ds.db", 1},
	{"dev1", 0, "sregs.fs.unusable", 1},
	{"dev1", 0, "sregs.tr.base", 0x109010},
	{"dev1", 0, "sregs.gdt.base", 0x100820},
	{"dev1", 0, "sregs.gdt.limit", 0x3f},
	{"dev1", 0, "debugregs.dr6", 0xffff0ff0},
	{"dev1", 0, "debugregs.dr7", 0x400},
	{"dev1", 0, "smbase", 0xa0000},
	{"dev1", 0, "hsave_pa", 0x111000},
	{"dev1", 0, "mp_state", 0},
	{"dev1", 0, "events.exception_injected", 0},
	{"dev1", 0, "events.interrupt_injected", 0},
	{"dev1", 0, "nested_state.flags", 0x101},
	{"dev1", 0, "nested_state.stored_flags", 0x101},
	{"dev1", 0, "nested_state.format", 1},
	{"dev1", 0, "nested_state.size", 4224},
	{"dev1", 0, "nested_state.vmcb_pa", 0x113000},
	{"dev1", 0, "vmcb12.control.intercept_word3", 0x81040000},
	{"dev1", 0, "vmcb12.control.intercept_word4", 1},
	{"dev1", 0, "vmcb12.control.iopm_base_pa", 0x10c000},
	{"dev1", 0, "vmcb12.control.msrpm_base_pa", 0x10a000},
	{"dev1", 0, "vmcb12.control.asid", 1},
	{"dev1", 0, "vmcb12.control.exit_code", 0x72},
	{"dev1", 0, "vmcb12.save.rax", 0x113000}, /* L1 after VMRUN */
	{"dev1", 0, "vmcb12.save.rip", 0x100771},
	{"dev1", 0, "vmcb12.save.gdtr.base", 0x100820},
	{"dev2", 0, "nested_state.vmcb_pa", 0x113000},
	{"dev2", 1, "nested_state.vmcb_pa", 0x114000},
	{"dev2", 1, "hsave_pa", 0x112000},
	{"dev2", 1, "smbase", 0x30000},
	{"dev2", 1, "regs.rip", 0x1006e7},
	{"dev2", 1, "regs.rflags", 0x93},
	{"dev2", 1, "sregs.tr.base", 0x109078},
	{"dev2", 1, "sregs.apic_base", 0xfee00800},
	{"dev2", 1, "vmcb12.save.rsp", 0x108f18},
	{"l1only", 0, "sregs.cr0", 0x10},
	{"l1only", 0, "sregs.efer", 0},
	{"l1only", 0, "sregs.cs.selector", 0xf000},
	{"l1only", 0, "sregs.cs.base", 0xf0000},
	{"l1only", 0, "sregs.cs.limit", 0xffff},
	{"l1only", 0, "sregs.idt.limit", 0x3ff},
	{"l1only", 0, "mp_state", 3}, /* halted */
	{"full1", 0, "regs.rax", UINT64_C(0x4f57bdc34)},
	{"full1", 0, "nested_state.vmcb_pa", 0x113000},
	{"full1", 0, "vmcb12.control.exit_code", 0x72},
	{"full2", 0, "nested_state.vmcb_pa", 0x113000},
	{"full2", 1, "nested_state.vmcb_pa", 0x114000},
	{"full2", 1, "regs.rsp", 0x1092e0},
	{"vmxdev1", 0, "regs.rip", 0x1004fb},
	{"vmxdev1", 0, "regs.rax", 0x30},
	{"vmxdev1", 0, "regs.r12", 11},
	{"vmxdev1", 0, "sregs.cr4", 0x2620},
	{"vmxdev1", 0, "sregs.efer", 0x500},
	{"vmxdev1", 0, "sregs.tr.base", 0x109000},
	{"vmxdev1", 0, "nested_state.flags", 1},
	{"vmxdev1", 0, "nested_state.format", 0},
	{"vmxdev1", 0, "nested_state.size", 4224},
	{"vmxdev1", 0, "nested_state.vmxon_pa", 0x117000},
	{"vmxdev1", 0, "nested_state.vmcs12_pa", 0x115000},
	{"vmxdev1", 0, "nested_state.smm_flags", 0},
	{"vmxdev1", 0, "nested_state.vmx_flags", 0},
	{"vmxdev1", 0, "vmcs12.launch_state", 1},
	{"vmxdev1", 0, "vmcs12.vmcs_link_pointer", UINT64_MAX},
	{"vmxdev1", 0, "vmcs12.guest_rip", 0x1004fb},
	{"vmxdev1", 0, "vmcs12.guest_rsp", 0x1091d8},
	{"vmxdev1", 0, "vmcs12.guest_cr3", 0x101000},
	{"vmxdev1", 0, "vmcs12.guest_tr_ar_bytes", 0x8b},
	{"vmxdev1", 0, "vmcs12.host_rip", 0x100cc5},
	{"vmxdev1", 0, "vmcs12.host_gdtr_base", 0x100db0},
	{"vmxdev1", 0, "vmcs12.vm_exit_reason", 10}, /* CPUID */
	{"vmxdev1", 0, "vmcs12.vm_entry_controls", 0x13fb},
	{"vmx1", 0, "regs.r12", 11},
	{"vmx1", 0, "nested_state.vmcs12_pa", 0x115000},
	{"vmx1", 0, "vmcs12.guest_gdtr_limit", 0x3f},
	{"vmx1", 0, "vmcs12.host_cr4", 0x2620},
};

START_TEST(values)
{
	s = genuine(known[_i].stream);
	read_again();
	ck_field(state, known[_i].vcpu, known[_i].name, known[_i].value);
}
END_TEST

static const struct {
	const char *stream, *format;
	size_t vcpus;
	const char *mode, *machine;
	enum nestmig_vendor vendor;
} kinds[] = {
	{"dev1", "qemu-device-state", 1, "L2", NULL, NESTMIG_VENDOR_AMD},
	{"dev2", "qemu-device-state", 2, "L2", NULL, NESTMIG_VENDOR_AMD},
	{"l1only", "qemu-device-state", 1, "L1", NULL, NESTMIG_VENDOR_UNKNOWN},
	{"full1", "qemu-stream", 1, "L2", "pc-q35-7.2", NESTMIG_VENDOR_AMD},
	{"full2", "qemu-stream", 2, "L2", "pc-q35-7.2", NESTMIG_VENDOR_AMD},
	{"vmxdev1", "qemu-device-state", 1, "L2", NULL, NESTMIG_VENDOR_INTEL},
	{"vmx1", "qemu-stream", 1, "L2", "pc-q35-7.2", NESTMIG_VENDOR_INTEL},
};

START_TEST(kind_count_and_mode)
{
	s = genuine(kinds[_i].stream);
	read_again();
	ck_assert_str_eq(nestmig_state_format(state), kinds[_i].format);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), kinds[_i].vcpus);
	ck_assert_int_eq(state->vendor, kinds[_i].vendor);
	for (size_t i = 0; i < kinds[_i].vcpus; i++) {
		ck_assert_uint_eq(state->vcpus[i].id, i);
		ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[i]), kinds[_i].mode);
		ck_assert_int_eq(state->vcpus[i].view.vendor, kinds[_i].vendor);
	}
	if (kinds[_i].machine)
		ck_assert_str_eq(state->machine, kinds[_i].machine);
	else
		ck_assert_ptr_null(state->machine);
	ck_assert_uint_le(nestmig_state_bytes_read(state), s.size + (1 << 20));
}
END_TEST

/* Parts of a word of segment flags share an offset; the rest can be read again there. */
static void check_offset(const struct nm_vcpu *vcpu, const struct nm_field *field)
{
	unsigned width = 0;
	bool big = false;
	uint64_t offset = nm_field_offset(vcpu, field, &width, &big);
	uint64_t value = nm_field_value(vcpu, field), is;

	if (offset == UINT64_MAX || width == 0 || width > 8)
		return;
	ck_assert_uint_le(offset + width, s.size);
	is = big ? nm_be(s.p + offset, width) : nm_le(s.p + offset, width);
	if (field->member_width == 2)
		is &= 0xffff;
	else if (field->member_width == 1)
		is &= 0xff;
	ck_assert_msg(is == value, "%s: 0x%llx at %llu, not 0x%llx", field->name,
		      (unsigned long long)is, (unsigned long long)offset,
		      (unsigned long long)value);
}

START_TEST(offsets_point_at_the_bytes)
{
	const struct place *place = &places[_i];
	const struct nm_vcpu *vcpu;
	uint64_t offset = 0;

	s = genuine(place->name);
	read_again();
	vcpu = &state->vcpus[place->vcpu];
	for (size_t i = 0; i < nm_field_count(); i++)
		check_offset(vcpu, nm_field_at(i));
	ck_assert(nm_vcpu_field(vcpu, "sregs.cr0", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, place->cpu + 456);
	ck_assert(nm_vcpu_field(vcpu, "sregs.cs.l", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, place->cpu + 272);
	ck_assert_int_eq(has_field(state, place->vcpu, "vmcb12.control.asid"), place->nested != 0);
	if (!place->nested)
		return;
	ck_assert(nm_vcpu_field(vcpu, "nested_state.flags", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, place->nested + 22);
	ck_assert(nm_vcpu_field(vcpu, "nested_state.vmcb_pa", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, place->nested + 60);
	ck_assert(nm_vcpu_field(vcpu, "vmcb12.save.rax", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, place->nested + 68 + 0x5f8);
	/* No bytes of their own. */
	ck_assert(nm_vcpu_field(vcpu, "events.exception_pending", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
	ck_assert(nm_vcpu_field(vcpu, "sregs.cr8", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
}
END_TEST

START_TEST(items_are_given_as_they_stand)
{
	const struct place *place = &places[_i];
	struct nestmig_detail detail = {0};
	const uint8_t *bytes;
	size_t size;

	s = genuine(place->name);
	read_again();
	if (!place->nested) {
		ck_assert_int_eq(nestmig_item_bytes(state, 0, "vmcb12", &bytes, &size, &detail),
				 NESTMIG_ERR_NOT_FOUND);
		return;
	}
	ck_ok(nestmig_item_bytes(state, place->vcpu, "vmcb12", &bytes, &size, &detail), detail);
	ck_assert_uint_eq(size, 4096);
	ck_assert_mem_eq(bytes, s.p + place->nested + 68, 4096);
	ck_ok(nestmig_item_bytes(state, place->vcpu, "nested_state", &bytes, &size, &detail),
	      detail);
	ck_assert_mem_eq(bytes, s.p + place->nested + 22, size);
	ck_ok(nestmig_item_bytes(state, place->vcpu, "sregs", &bytes, &size, &detail), detail);
	ck_assert_uint_eq(size, CPU_FIXED);
	ck_assert_mem_eq(bytes, s.p + place->cpu, size);
}
END_TEST

START_TEST(what_a_genuine_stream_does_not_carry_is_absent)
{
	s = genuine(places[_i].name);
	read_again();
	ck_assert(!has_field(state, places[_i].vcpu, "events.exception_error_code"));
	ck_assert(!has_field(state, places[_i].vcpu, "events.interrupt_shadow"));
	ck_assert(!nm_vcpu_has(&state->vcpus[places[_i].vcpu], NESTMIG_HAVE(CPUID)));
	ck_assert_ptr_null(state->host);
	ck_assert(!state->memory_known);
}
END_TEST

/* ---- A few bytes are different ---------------------------------------------------------------- */

static const char *const full_and_dev[] = {"dev2", "full2"};

static const struct place *place_of(const char *name, unsigned vcpu)
{
	size_t i = 0;

	while (strcmp(places[i].name, name) != 0 || places[i].vcpu != vcpu)
		i++;
	return &places[i];
}

START_TEST(patched_flags)
{
	const struct place *place = place_of(full_and_dev[_i], 1);
	struct nestmig_detail detail;

	s = genuine(place->name);
	s.p[place->cpu + 876 + 3] &= (uint8_t)~1; /* hflags2: GIF */
	read_again();
	ck_field(state, 1, "nested_state.flags", KVMNS_GUEST_MODE);
	ck_field(state, 1, "nested_state.stored_flags", 0x101);
	ck_field(state, 0, "nested_state.flags", 0x101);
	s.p[place->cpu + 144 + 1] &= (uint8_t)~0x20; /* hflags: guest mode */
	read_again();
	ck_field(state, 1, "nested_state.flags", 0);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[1]), "L1");
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L2");
	s.p[place->cpu + 144 + 1] |= 0x20;
	s.p[place->nested + 23] = 0; /* flags: 0x0100 */
	detail = must_refuse(&s, NESTMIG_ERR_FORMAT, "QEMU refuses");
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, place->cpu + 144);
}
END_TEST

/* With three cores a socket, APIC ids are 0, 1, 2, 4, ...: no index of a vCPU. */
START_TEST(an_apic_belongs_to_the_vcpu_of_its_rank)
{
	const struct place *place = place_of("dev2", 1);

	s = genuine("dev2");
	s.p[place->apic - 5] = 4;    /* the instance, low byte */
	s.p[place->apic + 2] = 0x18; /* apicbase */
	s.p[place->apic + 6] = 0xb0; /* tpr */
	read_again();
	ck_field(state, 1, "sregs.apic_base", 0xfee01800);
	ck_field(state, 1, "sregs.cr8", 11);
	ck_field(state, 0, "sregs.apic_base", 0xfee00900);
}
END_TEST

START_TEST(interrupt_request_of_cpu_common)
{
	s = genuine("dev1");
	set_be(s.p + 0x50, 1, 4);     /* halted */
	set_be(s.p + 0x54, 0x440, 4); /* SMI, INIT */
	read_again();
	ck_assert_uint_eq(state->vcpus[0].qemu.halted, 1);
	ck_field(state, 0, "events.smi_pending", 1);
	ck_field(state, 0, "events.smi_latched_init", 1);
	set_be(s.p + 0x54, 0x2, 4);
	read_again();
	ck_field(state, 0, "events.smi_pending", 0);
}
END_TEST

START_TEST(the_file_header)
{
	s = genuine("dev1");
	s.p[7] = 2;
	must_refuse(&s, NESTMIG_ERR_UNSUPPORTED, "version 3");
	s.p[7] = 3;
	s.size = 8;
	must_refuse(&s, NESTMIG_ERR_TRUNCATED, "header");
	s.size = 0;
	must_refuse(&s, NESTMIG_ERR_TRUNCATED, "header");
}
END_TEST

/* ---- RAM blocks ------------------------------------------------------------------------------- */

static void check_ram(uint64_t end)
{
	ck_assert(!state->memory_known);
	ck_assert_int_eq(nm_state_backed(state, 0, 0xa0000), NESTMIG_BACKED_YES);
	/* The VGA window and what PAM registers make of the ROM area are not surely RAM. */
	ck_assert_int_eq(nm_state_backed(state, 0xa0000, 1), NESTMIG_BACKED_UNKNOWN);
	ck_assert_int_eq(nm_state_backed(state, 0xfffff, 1), NESTMIG_BACKED_UNKNOWN);
	ck_assert_int_eq(nm_state_backed(state, 0x100000, end - 0x100000), NESTMIG_BACKED_YES);
	ck_assert_int_eq(nm_state_backed(state, end - 1, 2), NESTMIG_BACKED_UNKNOWN);
}

#define FULL1_TOTAL  0x28 /* be64 total and flags of the RAM block list */
#define FULL1_PC_RAM 0x37 /* be64 length of pc.ram */

START_TEST(ram_is_known_from_the_block_list)
{
	s = genuine("full1");
	read_again();
	check_ram(0x4000000);
	/* 4 GiB more: below 4 GiB there are 2 GiB at least on q35. */
	set_be(s.p + FULL1_TOTAL, UINT64_C(0x104082000) | 4, 8);
	set_be(s.p + FULL1_PC_RAM, UINT64_C(0x104000000), 8);
	read_again();
	check_ram(0x80000000);
	memcpy(s.p + 0xd, "pc-xxxx", 7);
	read_again();
	check_ram(0xc0000000);
}
END_TEST

START_TEST(a_block_larger_than_all_ram_is_refused)
{
	struct nestmig_detail detail;

	s = genuine("full1");
	set_be(s.p + FULL1_PC_RAM, UINT64_MAX, 8);
	detail = must_refuse(&s, NESTMIG_ERR_FORMAT, "pc.ram");
	ck_assert_uint_eq(detail.offset, FULL1_PC_RAM);
}
END_TEST

START_TEST(other_machines_and_blocks_leave_ram_unknown)
{
	s = genuine("full1");
	memcpy(s.p + 0xd, "xx", 2);
	read_again();
	ck_assert_uint_eq(state->extent_count, 0);
	memcpy(s.p + 0xd, "pc", 2);
	/* Only where no other block may be RAM, and the CMOS says what the machine has by default. */
	s.p[FULL1_PC_RAM - 1] = 'n'; /* pc.ran */
	read_again();
	check_ram(0x4000000);
	s.p[cmos_of(&s) + 0x34]++;
	read_again();
	ck_assert_uint_eq(state->extent_count, 0);
	ck_assert_int_eq(nm_state_backed(state, 0, 1), NESTMIG_BACKED_UNKNOWN);
}
END_TEST

/* Capabilities that are not known may change how the block list looks. */
START_TEST(capabilities_that_are_not_known_leave_ram_unknown)
{
	struct stream c = {0};

	put_subsection(&c, "configuration/capabilities");
	put_be(&c, 1, 4);
	put_name(&c, "x-of-the-future");
	s = genuine("full1");
	replace(&s, 0x17, 0, c.p, c.size);
	read_again();
	ck_assert_uint_eq(state->extent_count, 0);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	stream_free(&c);
}
END_TEST

START_TEST(a_machine_name_is_made_safe)
{
	s = genuine("full1");
	memcpy(s.p + 0xd, "\033[31m\r\n\xff x", 10);
	read_again();
	ck_assert_str_eq(state->machine, "?[31m????x");
	set_be(s.p + 9, 300, 4);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "machine name");
	set_be(s.p + 9, UINT32_MAX, 4);
	must_refuse(&s, NESTMIG_ERR_FORMAT, "machine name");
}
END_TEST

START_TEST(a_configuration_section_may_be_missing)
{
	s = genuine("full1");
	replace(&s, 8, 0x17 - 8, NULL, 0);
	read_again();
	ck_assert_ptr_null(state->machine);
	check_ram(0x4000000);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
}
END_TEST

/* ---- Reading little --------------------------------------------------------------------------- */

/* 2 GiB of RAM between head and device state: a hole, for what is there is not looked at. */
START_TEST(ram_is_not_read)
{
	char path[] = "/tmp/test-stream.XXXXXX";
	const uint64_t hole = UINT64_C(2) << 30;
	const size_t head = 0x100, tail = 0xaf5fb - 4096;
	struct nestmig_detail detail = {0};
	int fd = mkstemp(path);

	s = genuine("full1");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, s.p, head, 0), (ssize_t)head);
	ck_assert_int_eq(pwrite(fd, s.p + tail, s.size - tail, (off_t)(tail + hole)),
			 (ssize_t)(s.size - tail));
	ck_ok(nestmig_state_read(path, 0, &state, &detail), detail);
	unlink(path);
	close(fd);
	ck_assert_uint_lt(nestmig_state_bytes_read(state), 1 << 20);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	check_ram(0x4000000);
	ck_assert_uint_eq(state->vcpus[0].origin[NESTMIG_ITEM_SREGS].offset, hole + 0xaf661);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_stream");
	TCase *tcase = tcase_create("qemu_stream");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, values, 0, sizeof(known) / sizeof(known[0]));
	tcase_add_loop_test(tcase, kind_count_and_mode, 0, sizeof(kinds) / sizeof(kinds[0]));
	tcase_add_loop_test(tcase, offsets_point_at_the_bytes, 0, PLACES);
	tcase_add_loop_test(tcase, items_are_given_as_they_stand, 0, PLACES);
	tcase_add_loop_test(tcase, what_a_genuine_stream_does_not_carry_is_absent, 0, PLACES);
	tcase_add_loop_test(tcase, patched_flags, 0, 2);
	tcase_add_test(tcase, an_apic_belongs_to_the_vcpu_of_its_rank);
	tcase_add_test(tcase, interrupt_request_of_cpu_common);
	tcase_add_test(tcase, the_file_header);
	tcase_add_test(tcase, ram_is_known_from_the_block_list);
	tcase_add_test(tcase, a_block_larger_than_all_ram_is_refused);
	tcase_add_test(tcase, other_machines_and_blocks_leave_ram_unknown);
	tcase_add_test(tcase, capabilities_that_are_not_known_leave_ram_unknown);
	tcase_add_test(tcase, a_machine_name_is_made_safe);
	tcase_add_test(tcase, a_configuration_section_may_be_missing);
	tcase_add_test(tcase, ram_is_not_read);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
