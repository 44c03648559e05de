// SPDX-License-Identifier: GPL-2.0-or-later
/* Raw KVM dumps: the genuine one, and copies of it that lack something or hold something odd. */
#include <sys/resource.h>

#include "dump_dir.h"
#include "host.h"

static struct nestmig_state *state;

static void setup(void)
{
	state = NULL;
	dump_make();
}

static void teardown(void)
{
	nestmig_state_free(state);
	dir_remove();
}

static bool has(size_t vcpu, enum nestmig_item item)
{
	return nm_vcpu_has(&state->vcpus[vcpu], UINT64_C(1) << item);
}

/* ---- The genuine one -------------------------------------------------------------------------- */

START_TEST(genuine_values)
{
	static const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"regs.rip", 0x10020},
		{"regs.rax", 3},
		{"regs.rflags", 6},
		{"sregs.cr0", 0x80010033},
		{"sregs.cr3", 0x1000},
		{"sregs.cr4", 0x620},
		{"sregs.efer", 0x1500},
		{"sregs.apic_base", 0xfee00900},
		{"sregs.cs.l", 1},
		{"sregs.tr.base", 0x4100},
		{"sregs.gdt.limit", 0x27},
		{"debugregs.dr6", 0xffff0ff0},
		{"debugregs.dr7", 0x400},
		{"mp_state", 0},
		{"events.flags", 0x3d},
		{"events.exception_error_code", 0},
		{"events.interrupt_shadow", 0},
		{"nested_state.flags", 0x101},
		{"nested_state.format", 1},
		{"nested_state.size", 4224},
		{"nested_state.vmcb_pa", 0x5000},
		{"vmcb12.control.intercept_word3", 0x81040000},
		{"vmcb12.control.asid", 1},
		{"vmcb12.control.iopm_base_pa", 0x7000},
		{"vmcb12.save.efer", 0x1500},
	};

	state = must_read_dir();
	ck_assert_str_eq(nestmig_state_format(state), "raw-dump");
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_AMD);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L2");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_field(state, 0, rows[i].name, rows[i].value);
	ck_assert(has(0, NESTMIG_ITEM_CPUID) && has(0, NESTMIG_ITEM_MSRS));
	ck_assert(!has(0, NESTMIG_ITEM_PDPTRS)); /* not flagged as valid */
	ck_assert_uint_eq(state->vcpus[0].cpuid_count, 30);
	ck_assert_uint_eq(state->vcpus[0].msr_count, 97);
	ck_assert_uint_eq(state->vcpus[0].view.cpuid.word[NESTMIG_CPUID_1_ECX], 0x76f83203);
}
END_TEST

START_TEST(offsets_are_in_the_files)
{
	state = must_read_dir();
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		const struct nm_vcpu *vcpu = &state->vcpus[0];
		unsigned width = 0;
		bool big = true;
		uint64_t offset = nm_field_offset(vcpu, field, &width, &big);
		char name[128];
		struct stream file;

		if (offset == UINT64_MAX || width > 8)
			continue;
		ck_assert(!big);
		snprintf(name, sizeof(name), "raw-dump/%s", vcpu->origin[field->item].file);
		file = read_case(name);
		ck_assert_uint_le(offset + width, file.size);
		ck_assert_msg(nm_le(file.p + offset, width) == nm_field_value(vcpu, field), "%s",
			      field->name);
		stream_free(&file);
	}
	ck_assert_str_eq(state->vcpus[0].origin[NESTMIG_ITEM_SREGS].file, "vcpu0/sregs2");
}
END_TEST

START_TEST(the_host_comes_from_meta_msrs_and_cpuid)
{
	const struct nestmig_host_view *host;

	state = must_read_dir();
	ck_assert_ptr_nonnull(state->host);
	host = &state->host->view;
	ck_assert_int_eq(host->vendor, NESTMIG_VENDOR_AMD);
	ck_assert_uint_eq(host->kernel, NESTMIG_KERNEL(6, 1));
	ck_assert_uint_eq(host->nested, 1);
	ck_assert_uint_eq(host->npt, 1);
	ck_assert_uint_eq(host->vgif, 1);
	ck_assert_uint_eq(host->vls, 0);
	ck_assert_uint_eq(host->cpuid.word[NESTMIG_CPUID_1_ECX], 0x76f83203);
	ck_assert_uint_eq(state->host->msr_count, 4);
	ck_assert_str_eq(state->restore_order,
			 "KVM_SET_CPUID2,KVM_SET_MSRS,KVM_SET_SREGS2,KVM_SET_REGS,KVM_SET_XSAVE,"
			 "KVM_SET_VCPU_EVENTS,KVM_SET_MP_STATE,KVM_SET_DEBUGREGS,"
			 "KVM_SET_NESTED_STATE");
}
END_TEST

START_TEST(memory_is_at_hand)
{
	uint8_t bytes[16], vmcb[4096];
	struct stream nested = read_case("raw-dump/vcpu0/nested_state");

	state = must_read_dir();
	ck_assert_uint_eq(state->extent_count, 2);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1000, bytes, 8), NESTMIG_OK);
	ck_assert_uint_eq(nm_le64(bytes), 0x2023);
	/* VMCB12 in memory is what KVM cached of it. */
	ck_assert_int_eq(nm_state_read_memory(state, 0x5000, vmcb, sizeof(vmcb)), NESTMIG_OK);
	ck_assert_mem_eq(vmcb + 0x40, nested.p + 128 + 0x40, 0x10);
	ck_assert_int_eq(nm_state_read_memory(state, 0x5ff8, bytes, 9), NESTMIG_ERR_NOT_FOUND);
	ck_assert_int_eq(nm_state_backed(state, 0x6000, 1), NESTMIG_BACKED_UNKNOWN);
	stream_free(&nested);
}
END_TEST

/* ---- Less ------------------------------------------------------------------------------------- */

static const struct {
	const char *file;
	enum nestmig_item item;
} parts[] = {
	{"vcpu0/nested_state", NESTMIG_ITEM_NESTED},
	{"vcpu0/regs", NESTMIG_ITEM_REGS},
	{"vcpu0/vcpu_events", NESTMIG_ITEM_EVENTS},
	{"vcpu0/debugregs", NESTMIG_ITEM_DEBUGREGS},
	{"vcpu0/mp_state", NESTMIG_ITEM_MP_STATE},
	{"vcpu0/msrs", NESTMIG_ITEM_MSRS},
	{"vcpu0/cpuid", NESTMIG_ITEM_CPUID},
	{"vcpu0/sregs2", NESTMIG_ITEM_COUNT}, /* sregs is there too */
	{"host_msrs", NESTMIG_ITEM_COUNT},
	{"mem/1000", NESTMIG_ITEM_COUNT},
};

START_TEST(what_is_missing_is_absent)
{
	ck_assert_int_eq(unlink(in_dir(parts[_i].file)), 0);
	state = must_read_dir();
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++)
		if (item == (int)parts[_i].item)
			ck_assert(!has(0, item));
	ck_assert_int_eq(has(0, NESTMIG_ITEM_VMCB12), parts[_i].item != NESTMIG_ITEM_NESTED);
	ck_assert_int_eq(has(0, NESTMIG_ITEM_ERROR_CODE), parts[_i].item != NESTMIG_ITEM_EVENTS);
	ck_assert(has(0, NESTMIG_ITEM_SREGS));
	ck_assert_int_eq(state->vcpus[0].view.vendor, NESTMIG_VENDOR_AMD);
}
END_TEST

START_TEST(a_vcpu_may_be_empty)
{
	ck_assert_int_eq(mkdir(in_dir("vcpu7"), 0700), 0);
	state = must_read_dir();
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 2);
	ck_assert_uint_eq(state->vcpus[1].id, 7);
	ck_assert_uint_eq(state->vcpus[1].view.have & ~NESTMIG_HAVE(VM_CAPS), 0);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[1]), "unknown");
}
END_TEST

START_TEST(no_vcpu_is_refused)
{
	ck_assert_int_eq(rename(in_dir("vcpu0"), in_dir("cpu0")), 0);
	refuse_path(dir, NESTMIG_ERR_FORMAT, "no vCPU");
}
END_TEST

START_TEST(no_memory_is_no_error)
{
	ck_assert_int_eq(rename(in_dir("mem"), in_dir("memory")), 0);
	state = must_read_dir();
	ck_assert_uint_eq(state->extent_count, 0);
}
END_TEST

/* Every struct one byte shorter and longer, and empty. */
START_TEST(sizes_that_are_wrong_are_refused)
{
	static const uint8_t zeros[5000];
	const char *name = parts[_i].file;
	struct stat st;

	ck_assert_int_eq(stat(in_dir(name), &st), 0);
	write_in_dir(name, zeros, (size_t)st.st_size - 1);
	if (strcmp(name, "vcpu0/nested_state") == 0)
		write_in_dir(name, zeros, 127);
	refuse_path(dir, NESTMIG_ERR_TRUNCATED, name);
	if (strcmp(name, "vcpu0/nested_state") == 0)
		return;
	write_in_dir(name, zeros, (size_t)st.st_size + 1);
	refuse_path(dir,
		    st.st_size % 16 == 0 && strstr(name, "msrs") ? NESTMIG_ERR_TRUNCATED
		    : strstr(name, "cpuid")                      ? NESTMIG_ERR_TRUNCATED
								 : NESTMIG_ERR_FORMAT,
		    name);
}
END_TEST

START_TEST(a_file_of_gigabytes_is_not_read)
{
	write_text("vcpu0/msrs", "");
	ck_assert_int_eq(truncate(in_dir("vcpu0/msrs"), (off_t)1 << 40), 0);
	refuse_path(dir, NESTMIG_ERR_LIMIT, "vcpu0/msrs");
	ck_assert_int_eq(unlink(in_dir("vcpu0/msrs")), 0);
	ck_assert_int_eq(truncate(in_dir("meta.json"), (off_t)1 << 40), 0);
	refuse_path(dir, NESTMIG_ERR_LIMIT, "meta.json");
}
END_TEST

/* ---- meta.json -------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	enum nestmig_error error;
	const char *says;
} metas[] = {
	{"", NESTMIG_ERR_FORMAT, "meta.json"},
	{"{", NESTMIG_ERR_FORMAT, "meta.json, line 1"},
	{"[]", NESTMIG_ERR_FORMAT, "no JSON object"},
	{"\"amd\"", NESTMIG_ERR_FORMAT, "meta.json"},
	{"{}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{\"vendor\":\"AMD\"}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{\"vendor\":\"via\"}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{\"vendor\":1}", NESTMIG_ERR_FORMAT, "vendor"},
	{"{\"vendor\":\"amd\",\"vendor\":\"intel\"}", NESTMIG_ERR_FORMAT, "meta.json"},
	{"{\"vendor\":\"amd\",\"kernel\":6.1}", NESTMIG_ERR_FORMAT, "kernel"},
	{"{\"vendor\":\"amd\",\"params\":{\"nested\":1}}", NESTMIG_ERR_FORMAT, "params"},
	{"{\"vendor\":\"amd\",\"memory_complete\":1}", NESTMIG_ERR_FORMAT, "memory_complete"},
	{"{\"vendor\":\"amd\",\"vm_caps\":7}", NESTMIG_ERR_FORMAT, "vm_caps"},
	{"{\"vendor\":\"amd\",\"vm_caps\":{}}", NESTMIG_ERR_FORMAT, "vm_caps"},
	{"{\"vendor\":\"amd\",\"vm_caps\":[\"KVM_CAP_IRQCHIP\",1]}", NESTMIG_ERR_FORMAT, "vm_caps"},
	{"{\"vendor\":\"amd\"} x", NESTMIG_ERR_FORMAT, "meta.json"},
	{"{\"vendor\":\"amd\\u0000\"}", NESTMIG_ERR_FORMAT, "meta.json"},
	{"{\"vendor\":\"\xff\"}", NESTMIG_ERR_FORMAT, "meta.json"},
};

START_TEST(a_broken_meta_is_refused)
{
	write_text("meta.json", metas[_i].text);
	refuse_path(dir, metas[_i].error, metas[_i].says);
}
END_TEST

START_TEST(no_meta_is_no_dump)
{
	ck_assert_int_eq(unlink(in_dir("meta.json")), 0);
	refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, "no raw KVM dump");
}
END_TEST

START_TEST(deep_json_is_refused)
{
	struct stream s = {0};

	put_fill(&s, '[', 500000);
	write_in_dir("meta.json", s.p, s.size);
	refuse_path(dir, NESTMIG_ERR_FORMAT, "meta.json");
	stream_free(&s);
}
END_TEST

static const struct {
	const char *json, *order;
} orders[] = {
	{"[\"KVM_SET_SREGS\",\"KVM_SET_NESTED_STATE\"]", "KVM_SET_SREGS,KVM_SET_NESTED_STATE"},
	{"\"KVM_SET_SREGS,KVM_SET_NESTED_STATE\"", "KVM_SET_SREGS,KVM_SET_NESTED_STATE"},
	{"[\"KVM_SET_SREGS\"]", "KVM_SET_SREGS"},
	{NULL, NULL},
};

START_TEST(the_restore_order_is_an_array_or_a_text)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"vendor\":\"amd\"%s%s}",
		 orders[_i].json ? ",\"restore_order\":" : "",
		 orders[_i].json ? orders[_i].json : "");
	write_text("meta.json", text);
	state = must_read_dir();
	if (orders[_i].order)
		ck_assert_str_eq(state->restore_order, orders[_i].order);
	else
		ck_assert_ptr_null(state->restore_order);
}
END_TEST

static const struct {
	const char *json; /* the value of "vm_caps", NULL: no such key */
	bool known;
	uint32_t caps;
} vm_caps[] = {
	{NULL, false, 0},
	{"null", false, 0},
	{"[]", true, 0},
	{"\"\"", true, 0},
	{"[\"KVM_CAP_EXCEPTION_PAYLOAD\"]", true, NESTMIG_VM_EXCEPTION_PAYLOAD},
	{"[\"KVM_CAP_X86_TRIPLE_FAULT_EVENT\"]", true, NESTMIG_VM_TRIPLE_FAULT_EVENT},
	{"[\"KVM_CAP_IRQCHIP\"]", true, NESTMIG_VM_IRQCHIP},
	{"[\"KVM_CAP_HYPERV_ENLIGHTENED_VMCS\"]", true, NESTMIG_VM_EVMCS},
	{"[\"KVM_CAP_SPLIT_IRQCHIP\"]", true, NESTMIG_VM_IRQCHIP},
	{"[\"KVM_CAP_NO_SUCH_THING\"]", true, 0},
	{"[\"KVM_CAP_IRQCHIP\",\"\",\"KVM_CAP_EXCEPTION_PAYLOAD\"]", true,
	 NESTMIG_VM_IRQCHIP | NESTMIG_VM_EXCEPTION_PAYLOAD},
	{"\"KVM_CAP_IRQCHIP, KVM_CAP_X86_TRIPLE_FAULT_EVENT\"", true,
	 NESTMIG_VM_IRQCHIP | NESTMIG_VM_TRIPLE_FAULT_EVENT},
};

/* What is not named is off if the key is there, and unknown if not. */
START_TEST(the_capabilities_of_the_vm)
{
	const struct nestmig_vcpu_view *view;
	char text[200];

	snprintf(text, sizeof(text), "{\"vendor\":\"amd\"%s%s}",
		 vm_caps[_i].json ? ",\"vm_caps\":" : "", vm_caps[_i].json ? vm_caps[_i].json : "");
	write_text("meta.json", text);
	state = must_read_dir();
	view = &state->vcpus[0].view;
	ck_assert_int_eq(!!(view->have & NESTMIG_HAVE(VM_CAPS)), vm_caps[_i].known);
	ck_assert_uint_eq(view->vm_caps, vm_caps[_i].caps);
}
END_TEST

/* An order that names nothing is not an order in which nothing is restored. */
static const char *const no_orders[] = {"[]", "\"\"", "null"};

START_TEST(an_order_without_names_is_none)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"vendor\":\"amd\",\"restore_order\":%s}", no_orders[_i]);
	write_text("meta.json", text);
	state = must_read_dir();
	ck_assert_ptr_null(state->restore_order);
}
END_TEST

static const char *const bad_orders[] = {"7", "{}", "true", "[1]", "[\"KVM_SET_SREGS\",null]"};

START_TEST(an_order_of_another_kind_is_refused)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"vendor\":\"amd\",\"restore_order\":%s}", bad_orders[_i]);
	write_text("meta.json", text);
	refuse_path(dir, NESTMIG_ERR_FORMAT, "restore_order");
}
END_TEST

START_TEST(a_meta_with_little_leaves_the_host_unknown)
{
	write_text("meta.json", "{\"vendor\":\"intel\"}");
	state = must_read_dir();
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_INTEL);
	ck_assert_uint_eq(state->host->view.kernel, 0);
	ck_assert(!(state->host->view.have & NESTMIG_HAVE(HOST_KERNEL)));
	ck_assert_ptr_null(state->restore_order);
	ck_assert(!state->memory_known);
}
END_TEST

START_TEST(memory_may_be_complete)
{
	write_text("meta.json", "{\"vendor\":\"amd\",\"memory_complete\":true}");
	state = must_read_dir();
	ck_assert(state->memory_known);
	ck_assert_int_eq(nm_state_backed(state, 0x6000, 1), NESTMIG_BACKED_NO);
}
END_TEST

/* ---- Odd entries ------------------------------------------------------------------------------ */

START_TEST(odd_names_are_ignored)
{
	static const char *const dirs[] = {
		"vcpu",   "vcpux",  "vcpu1x",    "vcpu-1",
		"vcpu+1", "vcpu 1", "vcpu65536", "vcpu99999999999999999999",
		"VCPU1"};
	static const char *const extents[] = {"README", ".1000",    "-1000", "+2000",
					      " 3000",  "4000.bak", "0x",    "11111111111111111",
					      "\n5000", "\t6000",   "0x\n7", "0x0x8",
					      ""};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		ck_assert_int_eq(mkdir(in_dir(dirs[i]), 0700), 0);
	for (size_t i = 0; *extents[i]; i++) {
		char name[64];

		snprintf(name, sizeof(name), "mem/%s", extents[i]);
		write_text(name, "x");
	}
	write_text("README", "x");
	write_text("vcpu0/odd", "x");
	state = must_read_dir();
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	ck_assert_uint_eq(state->extent_count, 2);
}
END_TEST

START_TEST(a_vcpu_twice_is_refused)
{
	ck_assert_int_eq(mkdir(in_dir("vcpu00"), 0700), 0);
	refuse_path(dir, NESTMIG_ERR_FORMAT, "twice");
}
END_TEST

START_TEST(vcpus_come_in_order_of_number)
{
	ck_assert_int_eq(mkdir(in_dir("vcpu10"), 0700), 0);
	ck_assert_int_eq(mkdir(in_dir("vcpu9"), 0700), 0);
	ck_assert_int_eq(mkdir(in_dir("vcpu65535"), 0700), 0);
	state = must_read_dir();
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 4);
	ck_assert_uint_eq(state->vcpus[1].id, 9);
	ck_assert_uint_eq(state->vcpus[2].id, 10);
	ck_assert_uint_eq(state->vcpus[3].id, 65535);
}
END_TEST

START_TEST(a_fifo_where_a_file_should_be_does_not_hang)
{
	static const char *const files[] = {"vcpu0/sregs", "mem/1000", "host_msrs", "meta.json"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ck_assert_int_eq(rename(in_dir(files[i]), in_dir("kept")), 0);
		ck_assert_int_eq(mkfifo(in_dir(files[i]), 0600), 0);
		refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, files[i]);
		ck_assert_int_eq(unlink(in_dir(files[i])), 0);
		ck_assert_int_eq(mkdir(in_dir(files[i]), 0700), 0);
		refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, files[i]);
		ck_assert_int_eq(rmdir(in_dir(files[i])), 0);
		ck_assert_int_eq(rename(in_dir("kept"), in_dir(files[i])), 0);
	}
	state = must_read_dir();
}
END_TEST

/* Not even to a good file beside it: where a link leads may change. The dump itself may be named by one. */
START_TEST(links_in_a_dump_are_not_followed)
{
	static const char *const files[] = {"vcpu0/sregs", "mem/1000", "host_msrs", "meta.json"};
	static const char *const targets[] = {"/dev/zero", "sregs", "../vcpu0/regs", "vcpu0/regs"};
	struct nestmig_detail detail = {0};
	char link[80];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ck_assert_int_eq(rename(in_dir(files[i]), in_dir("kept")), 0);
		for (size_t k = 0; k < sizeof(targets) / sizeof(targets[0]); k++) {
			ck_assert_int_eq(symlink(targets[k], in_dir(files[i])), 0);
			refuse_path(dir, NESTMIG_ERR_UNSUPPORTED, "is a symbolic link");
			ck_assert_int_eq(unlink(in_dir(files[i])), 0);
		}
		ck_assert_int_eq(rename(in_dir("kept"), in_dir(files[i])), 0);
	}
	snprintf(link, sizeof(link), "%s.link", dir);
	ck_assert_int_eq(symlink(dir, link), 0);
	ck_ok(nestmig_state_read(link, 0, &state, &detail), detail);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(symlink("vcpu0", in_dir("vcpu1")), 0);
	refuse_path(dir, NESTMIG_ERR_IO, "vcpu1");
}
END_TEST

START_TEST(files_where_directories_should_be)
{
	write_text("vcpu1", "x");
	refuse_path(dir, NESTMIG_ERR_IO, "vcpu1");
	ck_assert_int_eq(unlink(in_dir("vcpu1")), 0);
	ck_assert_int_eq(rename(in_dir("mem"), in_dir("memory")), 0);
	write_text("mem", "x");
	refuse_path(dir, NESTMIG_ERR_IO, "mem");
}
END_TEST

START_TEST(memory_is_read_across_extents)
{
	struct stream page = read_case("raw-dump/mem/1000");
	uint8_t bytes[0x5000];

	write_in_dir("mem/1000", page.p, 0x1003);
	write_in_dir("mem/0x2003", page.p + 0x1003, page.size - 0x1003);
	write_in_dir("mem/20000", "", 0);
	state = must_read_dir();
	ck_assert_uint_eq(state->extent_count, 3);
	ck_assert_int_eq(nm_state_read_memory(state, 0x1000, bytes, sizeof(bytes)), NESTMIG_OK);
	ck_assert_mem_eq(bytes, page.p, sizeof(bytes));
	ck_assert_int_eq(nm_state_backed(state, 0x1fff, 0x10), NESTMIG_BACKED_YES);
	stream_free(&page);
}
END_TEST

START_TEST(memory_past_the_end_of_the_address_space_is_refused)
{
	write_text("mem/ffffffffffffffff", "x");
	state = must_read_dir();
	nestmig_state_free(state);
	state = NULL;
	write_text("mem/ffffffffffffffff", "xx");
	refuse_path(dir, NESTMIG_ERR_FORMAT, "mem/ffffffffffffffff");
}
END_TEST

/* Nine files a vCPU: more than a process may have open, if they stay open. */
START_TEST(many_vcpus_do_not_need_many_descriptors)
{
	struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
	char name[64];

	for (int i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "vcpu%d", i);
		ck_assert_int_eq(mkdir(in_dir(name), 0700), 0);
		strcat(name, "/mp_state");
		write_in_dir(name, "\3\0\0\0", 4);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	state = must_read_dir();
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 100);
	ck_field(state, 99, "mp_state", 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rawdump");
	TCase *tcase = tcase_create("rawdump");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, genuine_values);
	tcase_add_test(tcase, offsets_are_in_the_files);
	tcase_add_test(tcase, the_host_comes_from_meta_msrs_and_cpuid);
	tcase_add_test(tcase, memory_is_at_hand);
	tcase_add_loop_test(tcase, what_is_missing_is_absent, 0, sizeof(parts) / sizeof(parts[0]));
	tcase_add_test(tcase, a_vcpu_may_be_empty);
	tcase_add_test(tcase, no_vcpu_is_refused);
	tcase_add_test(tcase, no_memory_is_no_error);
	tcase_add_loop_test(tcase, sizes_that_are_wrong_are_refused, 0, 9);
	tcase_add_test(tcase, a_file_of_gigabytes_is_not_read);
	tcase_add_loop_test(tcase, a_broken_meta_is_refused, 0, sizeof(metas) / sizeof(metas[0]));
	tcase_add_test(tcase, no_meta_is_no_dump);
	tcase_add_test(tcase, deep_json_is_refused);
	tcase_add_loop_test(tcase, the_capabilities_of_the_vm, 0,
			    sizeof(vm_caps) / sizeof(vm_caps[0]));
	tcase_add_loop_test(tcase, the_restore_order_is_an_array_or_a_text, 0,
			    sizeof(orders) / sizeof(orders[0]));
	tcase_add_loop_test(tcase, an_order_without_names_is_none, 0,
			    sizeof(no_orders) / sizeof(no_orders[0]));
	tcase_add_loop_test(tcase, an_order_of_another_kind_is_refused, 0,
			    sizeof(bad_orders) / sizeof(bad_orders[0]));
	tcase_add_test(tcase, a_meta_with_little_leaves_the_host_unknown);
	tcase_add_test(tcase, memory_may_be_complete);
	tcase_add_test(tcase, odd_names_are_ignored);
	tcase_add_test(tcase, a_vcpu_twice_is_refused);
	tcase_add_test(tcase, vcpus_come_in_order_of_number);
	tcase_add_test(tcase, a_fifo_where_a_file_should_be_does_not_hang);
	tcase_add_test(tcase, links_in_a_dump_are_not_followed);
	tcase_add_test(tcase, files_where_directories_should_be);
	tcase_add_test(tcase, memory_is_read_across_extents);
	tcase_add_test(tcase, memory_past_the_end_of_the_address_space_is_refused);
	tcase_add_test(tcase, many_vcpus_do_not_need_many_descriptors);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
