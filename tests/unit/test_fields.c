// SPDX-License-Identifier: GPL-2.0-or-later
/* The field tables against the uapi headers, the layout of QEMU's section "cpu" and the manuals. */
#include <linux/kvm.h>
#include <stddef.h>

#include "stream.h"

/* ---- KVM structs ----------------------------------------------------------------------------- */

struct where {
	const char *name;
	size_t offset, width;
};

#define K(name, type, member)                                                                      \
	{                                                                                          \
		name, offsetof(struct type, member), sizeof(((struct type *)0)->member)            \
	}
#define SEG(x)                                                                                     \
	K("sregs." #x ".base", kvm_sregs, x.base), K("sregs." #x ".limit", kvm_sregs, x.limit),    \
		K("sregs." #x ".selector", kvm_sregs, x.selector),                                 \
		K("sregs." #x ".type", kvm_sregs, x.type),                                         \
		K("sregs." #x ".present", kvm_sregs, x.present),                                   \
		K("sregs." #x ".dpl", kvm_sregs, x.dpl), K("sregs." #x ".db", kvm_sregs, x.db),    \
		K("sregs." #x ".s", kvm_sregs, x.s), K("sregs." #x ".l", kvm_sregs, x.l),          \
		K("sregs." #x ".g", kvm_sregs, x.g), K("sregs." #x ".avl", kvm_sregs, x.avl),      \
		K("sregs." #x ".unusable", kvm_sregs, x.unusable)
#define SREG(x)              K("sregs." #x, kvm_sregs, x)
#define REG(x)               K("regs." #x, kvm_regs, x)
#define EVENT(name, member)  K("events." name, kvm_vcpu_events, member)
#define NESTED(name, member) K("nested_state." name, kvm_nested_state, member)

static const struct where kvm[] = {
	SEG(cs),
	SEG(ds),
	SEG(es),
	SEG(fs),
	SEG(gs),
	SEG(ss),
	SEG(tr),
	SEG(ldt),
	K("sregs.gdt.base", kvm_sregs, gdt.base),
	K("sregs.gdt.limit", kvm_sregs, gdt.limit),
	K("sregs.idt.base", kvm_sregs, idt.base),
	K("sregs.idt.limit", kvm_sregs, idt.limit),
	SREG(cr0),
	SREG(cr2),
	SREG(cr3),
	SREG(cr4),
	SREG(cr8),
	SREG(efer),
	SREG(apic_base),
	K("sregs.pdptr0", kvm_sregs2, pdptrs[0]),
	K("sregs.pdptr1", kvm_sregs2, pdptrs[1]),
	K("sregs.pdptr2", kvm_sregs2, pdptrs[2]),
	K("sregs.pdptr3", kvm_sregs2, pdptrs[3]),
	REG(rax),
	REG(rbx),
	REG(rcx),
	REG(rdx),
	REG(rsi),
	REG(rdi),
	REG(rsp),
	REG(rbp),
	REG(r8),
	REG(r9),
	REG(r10),
	REG(r11),
	REG(r12),
	REG(r13),
	REG(r14),
	REG(r15),
	REG(rip),
	REG(rflags),
	EVENT("exception_injected", exception.injected),
	EVENT("exception_nr", exception.nr),
	EVENT("exception_has_error_code", exception.has_error_code),
	EVENT("exception_pending", exception.pending),
	EVENT("exception_error_code", exception.error_code),
	EVENT("interrupt_injected", interrupt.injected),
	EVENT("interrupt_nr", interrupt.nr),
	EVENT("interrupt_soft", interrupt.soft),
	EVENT("interrupt_shadow", interrupt.shadow),
	EVENT("nmi_injected", nmi.injected),
	EVENT("nmi_pending", nmi.pending),
	EVENT("nmi_masked", nmi.masked),
	EVENT("sipi_vector", sipi_vector),
	EVENT("flags", flags),
	EVENT("smi_smm", smi.smm),
	EVENT("smi_pending", smi.pending),
	EVENT("smi_inside_nmi", smi.smm_inside_nmi),
	EVENT("smi_latched_init", smi.latched_init),
	EVENT("triple_fault", triple_fault.pending),
	EVENT("exception_has_payload", exception_has_payload),
	EVENT("exception_payload", exception_payload),
	K("debugregs.db0", kvm_debugregs, db[0]),
	K("debugregs.db1", kvm_debugregs, db[1]),
	K("debugregs.db2", kvm_debugregs, db[2]),
	K("debugregs.db3", kvm_debugregs, db[3]),
	K("debugregs.dr6", kvm_debugregs, dr6),
	K("debugregs.dr7", kvm_debugregs, dr7),
	K("debugregs.flags", kvm_debugregs, flags),
	K("mp_state", kvm_mp_state, mp_state),
	NESTED("flags", flags),
	NESTED("stored_flags", flags),
	NESTED("format", format),
	NESTED("size", size),
	NESTED("vmcb_pa", hdr.svm.vmcb_pa),
	NESTED("vmxon_pa", hdr.vmx.vmxon_pa),
	NESTED("vmcs12_pa", hdr.vmx.vmcs12_pa),
	NESTED("smm_flags", hdr.vmx.smm.flags),
	NESTED("vmx_flags", hdr.vmx.flags),
	NESTED("preemption_timer_deadline", hdr.vmx.preemption_timer_deadline),
	/* Newer than the header of Linux 6.1. */
	{"nested_state.gpat", 16, 8},
};

/* sregs2 starts as sregs does. */
_Static_assert(offsetof(struct kvm_sregs2, apic_base) == offsetof(struct kvm_sregs, apic_base) &&
		       offsetof(struct kvm_sregs2, ldt) == offsetof(struct kvm_sregs, ldt) &&
		       offsetof(struct kvm_sregs2, flags) == 280,
	       "struct kvm_sregs2");
_Static_assert(offsetof(struct kvm_nested_state, data) == KVMNS_HEADER_SIZE &&
		       sizeof(struct kvm_svm_nested_state_data) == KVMNS_VMCB_SIZE &&
		       sizeof(struct kvm_vmx_nested_state_data) == 2 * KVMNS_VMCS_SIZE &&
		       KVM_STATE_NESTED_GUEST_MODE == KVMNS_GUEST_MODE &&
		       KVM_STATE_NESTED_RUN_PENDING == KVMNS_RUN_PENDING &&
		       KVM_STATE_NESTED_EVMCS == KVMNS_EVMCS &&
		       KVM_STATE_NESTED_MTF_PENDING == KVMNS_MTF_PENDING &&
		       KVM_STATE_NESTED_GIF_SET == KVMNS_GIF_SET &&
		       KVM_STATE_NESTED_FORMAT_VMX == KVMNS_FORMAT_VMX &&
		       KVM_STATE_NESTED_FORMAT_SVM == KVMNS_FORMAT_SVM,
	       "struct kvm_nested_state");

static bool is_page(const struct nm_field *field)
{
	return field->member == UINT32_MAX;
}

START_TEST(offsets_are_those_of_the_uapi)
{
	const struct nm_field *field = nm_field_find(kvm[_i].name);

	ck_assert_msg(field != NULL, "no field %s", kvm[_i].name);
	ck_assert_msg(field->kvm_offset == (int32_t)kvm[_i].offset, "%s at %d, not %zu",
		      field->name, field->kvm_offset, kvm[_i].offset);
	ck_assert_msg(field->kvm_width == kvm[_i].width, "%s: %u bytes", field->name,
		      field->kvm_width);
	ck_assert_uint_eq(field->member_width, kvm[_i].width);
}
END_TEST

START_TEST(every_field_has_its_place_in_the_uapi)
{
	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		size_t k = 0;

		if (is_page(field))
			continue;
		if (strcmp(field->name, "smbase") == 0 || strcmp(field->name, "hsave_pa") == 0) {
			ck_assert_int_eq(field->kvm_offset, -1); /* they are MSRs */
			continue;
		}
		if (strncmp(field->name, "vmx_msrs.", 9) == 0) {
			ck_assert_int_eq(field->kvm_offset, -1);
			continue;
		}
		while (k < sizeof(kvm) / sizeof(kvm[0]) && strcmp(kvm[k].name, field->name) != 0)
			k++;
		ck_assert_msg(k < sizeof(kvm) / sizeof(kvm[0]), "%s is not tested", field->name);
	}
}
END_TEST

/* ---- QEMU ------------------------------------------------------------------------------------ */

/* Section "cpu", offsets from the start of its payload (formats.md 1.8). */
static const struct where qemu[] = {
	{"regs.rax", 0, 8},
	{"regs.rcx", 8, 8},
	{"regs.rdx", 16, 8},
	{"regs.rbx", 24, 8},
	{"regs.rsp", 32, 8},
	{"regs.rbp", 40, 8},
	{"regs.rsi", 48, 8},
	{"regs.rdi", 56, 8},
	{"regs.r8", 64, 8},
	{"regs.r9", 72, 8},
	{"regs.r10", 80, 8},
	{"regs.r11", 88, 8},
	{"regs.r12", 96, 8},
	{"regs.r13", 104, 8},
	{"regs.r14", 112, 8},
	{"regs.r15", 120, 8},
	{"regs.rip", 128, 8},
	{"regs.rflags", 136, 8},
	{"sregs.es.selector", 236, 4},
	{"sregs.es.base", 240, 8},
	{"sregs.es.limit", 248, 4},
	{"sregs.cs.selector", 256, 4},
	{"sregs.cs.base", 260, 8},
	{"sregs.cs.limit", 268, 4},
	{"sregs.ss.selector", 276, 4},
	{"sregs.ss.base", 280, 8},
	{"sregs.ss.limit", 288, 4},
	{"sregs.ds.selector", 296, 4},
	{"sregs.ds.base", 300, 8},
	{"sregs.ds.limit", 308, 4},
	{"sregs.fs.selector", 316, 4},
	{"sregs.fs.base", 320, 8},
	{"sregs.fs.limit", 328, 4},
	{"sregs.gs.selector", 336, 4},
	{"sregs.gs.base", 340, 8},
	{"sregs.gs.limit", 348, 4},
	{"sregs.ldt.selector", 356, 4},
	{"sregs.ldt.base", 360, 8},
	{"sregs.ldt.limit", 368, 4},
	{"sregs.tr.selector", 376, 4},
	{"sregs.tr.base", 380, 8},
	{"sregs.tr.limit", 388, 4},
	{"sregs.gdt.base", 400, 8},
	{"sregs.gdt.limit", 408, 4},
	{"sregs.idt.base", 420, 8},
	{"sregs.idt.limit", 428, 4},
	{"sregs.cr0", 456, 8},
	{"sregs.cr2", 464, 8},
	{"sregs.cr3", 472, 8},
	{"sregs.cr4", 480, 8},
	{"debugregs.db0", 488, 8},
	{"debugregs.db1", 496, 8},
	{"debugregs.db2", 504, 8},
	{"debugregs.db3", 512, 8},
	{"debugregs.dr6", 536, 8},
	{"debugregs.dr7", 544, 8},
	{"sregs.efer", 816, 8},
	{"smbase", 864, 4},
	{"hsave_pa", 880, 8},
	{"events.interrupt_nr", 1149, 4},
	{"mp_state", 1153, 4},
	{"events.exception_nr", 1165, 4},
	{"events.interrupt_soft", 1169, 1},
	{"events.nmi_injected", 1170, 1},
	{"events.nmi_pending", 1171, 1},
	{"events.exception_has_error_code", 1172, 1},
	{"events.sipi_vector", 1173, 4},
	/* From the start of struct cpu/kvm_nested_state; 30 bytes of subsection header after 8. */
	{"nested_state.flags", 0, 2},
	{"nested_state.stored_flags", 0, 2},
	{"nested_state.format", 2, 2},
	{"nested_state.size", 4, 4},
	{"nested_state.vmcb_pa", 38, 8},
	{"nested_state.vmxon_pa", 38, 8},
	{"nested_state.vmcs12_pa", 46, 8},
	{"nested_state.smm_flags", 54, 2},
};

static const struct where *in_qemu(const char *name)
{
	for (size_t i = 0; i < sizeof(qemu) / sizeof(qemu[0]); i++)
		if (strcmp(qemu[i].name, name) == 0)
			return &qemu[i];
	return NULL;
}

START_TEST(offsets_are_those_of_a_qemu_stream)
{
	size_t found = 0;

	for (size_t i = 0; i < nm_field_count(); i++) {
		const struct nm_field *field = nm_field_at(i);
		const struct where *where = in_qemu(field->name);

		/* Parts of segment flags have an offset, but no bytes of their own. */
		if (is_page(field) || (!where && !field->qemu_width && field->qemu_offset >= 0))
			continue;
		found += where != NULL;
		ck_assert_msg(field->qemu_offset == (where ? (int32_t)where->offset : -1),
			      "%s at %d", field->name, field->qemu_offset);
		ck_assert_msg(field->qemu_width == (where ? where->width : 0), "%s: %u bytes",
			      field->name, field->qemu_width);
	}
	ck_assert_uint_eq(found, sizeof(qemu) / sizeof(qemu[0]));
}
END_TEST

/* The value at an offset of a synthetic payload: no two equal, and no byte of one equal its
 * neighbours. */
static uint8_t payload_byte(size_t i)
{
	return (uint8_t)(i * 37 + (i >> 8) * 101 + 11);
}

START_TEST(loading_from_qemu_takes_each_field_from_its_place)
{
	struct nestmig_vcpu_view view = {0};
	struct nm_vcpu vcpu = {0};
	uint8_t payload[CPU_FIXED];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = payload_byte(i);
	for (int item = 0; item < NESTMIG_ITEM_COUNT; item++)
		if (item != NESTMIG_ITEM_NESTED)
			nm_fields_load_qemu(&view, item, payload, sizeof(payload));
	vcpu.view = view;
	for (size_t i = 0; i < sizeof(qemu) / sizeof(qemu[0]); i++) {
		const struct nm_field *field = nm_field_find(qemu[i].name);
		uint64_t expected = 0;

		if (field->item == NESTMIG_ITEM_NESTED)
			continue;
		for (size_t b = 0; b < qemu[i].width; b++)
			expected = expected << 8 | payload_byte(qemu[i].offset + b);
		if (field->member_width < 8)
			expected &= (UINT64_C(1) << (8 * field->member_width)) - 1;
		ck_assert_msg(nm_field_value(&vcpu, field) == expected, "%s", field->name);
	}
}
END_TEST

START_TEST(a_short_payload_leaves_fields_alone)
{
	struct nestmig_vcpu_view view = {0};
	uint8_t payload[460];

	memset(payload, 0xa5, sizeof(payload));
	nm_fields_load_qemu(&view, NESTMIG_ITEM_SREGS, payload, sizeof(payload));
	ck_assert_uint_eq(view.sregs.gdt.base, UINT64_C(0xa5a5a5a5a5a5a5a5));
	ck_assert_uint_eq(view.sregs.cr0, 0);
	nm_fields_load_kvm(&view, NESTMIG_ITEM_REGS, payload, 12);
	ck_assert_uint_eq(view.regs.rax, UINT64_C(0xa5a5a5a5a5a5a5a5));
	ck_assert_uint_eq(view.regs.rbx, 0);
}
END_TEST

/* ---- Pages ----------------------------------------------------------------------------------- */

struct row {
	const char *name;
	uint32_t offset, width, encoding;
};

static const struct row vmcb[] = {
#define VMCB_control 0
#define VMCB_save    0x400
#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	{#area "." name, VMCB_##area + offset, width, in_blob},
#include "vmcb/layout.def"
#undef VMCB_FIELD
};

static const struct row vmcs[] = {
#define VMCS_FIELD(offset, width, name, encoding) {#name, offset, width, encoding},
#include "vmcs/layout.def"
#undef VMCS_FIELD
};

static void check_page(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ck_assert_msg(rows[i].width > 0 && rows[i].offset + rows[i].width <= 4096,
			      "%s leaves the page", rows[i].name);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(rows[i].offset >= rows[j].offset + rows[j].width ||
					      rows[j].offset >= rows[i].offset + rows[i].width,
				      "%s overlaps %s", rows[i].name, rows[j].name);
	}
}

START_TEST(rows_of_a_page_stay_in_it_and_do_not_overlap)
{
	check_page(vmcb, sizeof(vmcb) / sizeof(vmcb[0]));
	check_page(vmcs, sizeof(vmcs) / sizeof(vmcs[0]));
}
END_TEST

/* SDM volume 3, appendix B: bits 14:13 of an encoding give the width. */
START_TEST(vmcs_encodings_agree_with_widths)
{
	static const uint32_t widths[] = {2, 8, 4, 8};

	for (size_t i = 0; i < sizeof(vmcs) / sizeof(vmcs[0]); i++) {
		uint32_t encoding = vmcs[i].encoding;

		if (encoding == UINT32_MAX)
			continue;
		ck_assert_msg(vmcs[i].width == widths[encoding >> 13 & 3], "%s: width %u",
			      vmcs[i].name, vmcs[i].width);
		ck_assert_msg(!(encoding & ~UINT32_C(0x6ffe)), "%s: bits of 0x%x that mean nothing",
			      vmcs[i].name, encoding);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(vmcs[j].encoding != encoding, "%s and %s", vmcs[i].name,
				      vmcs[j].name);
		/* Bits 11:10: 0 control, 1 read-only, 2 guest, 3 host state. */
		if (strncmp(vmcs[i].name, "host_", 5) == 0)
			ck_assert_msg((encoding >> 10 & 3) == 3, "%s", vmcs[i].name);
	}
}
END_TEST

static const struct row vmcb_known[] = {
	/* AMD APM volume 2, appendix B. */
	{"vmcb12.control.intercept_exceptions", 0x008, 4, 0},
	{"vmcb12.control.iopm_base_pa", 0x040, 8, 0},
	{"vmcb12.control.msrpm_base_pa", 0x048, 8, 0},
	{"vmcb12.control.tsc_offset", 0x050, 8, 0},
	{"vmcb12.control.asid", 0x058, 4, 0},
	{"vmcb12.control.tlb_ctl", 0x05c, 1, 0},
	{"vmcb12.control.int_ctl", 0x060, 4, 0},
	{"vmcb12.control.int_state", 0x068, 4, 0},
	{"vmcb12.control.exit_code", 0x070, 4, 0},
	{"vmcb12.control.exit_info_1", 0x078, 8, 0},
	{"vmcb12.control.exit_info_2", 0x080, 8, 0},
	{"vmcb12.control.exit_int_info", 0x088, 4, 0},
	{"vmcb12.control.nested_ctl", 0x090, 8, 0},
	{"vmcb12.control.event_inj", 0x0a8, 4, 0},
	{"vmcb12.control.nested_cr3", 0x0b0, 8, 0},
	{"vmcb12.control.virt_ext", 0x0b8, 8, 0},
	{"vmcb12.control.clean", 0x0c0, 4, 0},
	{"vmcb12.control.next_rip", 0x0c8, 8, 0},
	{"vmcb12.save.es.selector", 0x400, 2, 0},
	{"vmcb12.save.cs.attrib", 0x412, 2, 0},
	{"vmcb12.save.tr.base", 0x498, 8, 0},
	{"vmcb12.save.cpl", 0x4cb, 1, 0},
	{"vmcb12.save.efer", 0x4d0, 8, 0},
	{"vmcb12.save.cr4", 0x548, 8, 0},
	{"vmcb12.save.cr3", 0x550, 8, 0},
	{"vmcb12.save.cr0", 0x558, 8, 0},
	{"vmcb12.save.dr7", 0x560, 8, 0},
	{"vmcb12.save.dr6", 0x568, 8, 0},
	{"vmcb12.save.rflags", 0x570, 8, 0},
	{"vmcb12.save.rip", 0x578, 8, 0},
	{"vmcb12.save.rsp", 0x5d8, 8, 0},
	{"vmcb12.save.rax", 0x5f8, 8, 0},
	{"vmcb12.save.cr2", 0x640, 8, 0},
	{"vmcb12.save.g_pat", 0x668, 8, 0},
	{"vmcb12.save.dbgctl", 0x670, 8, 0},
};

START_TEST(the_vmcb_is_laid_out_as_in_the_manual)
{
	struct nm_vcpu vcpu = {0};
	uint8_t page[4096];

	for (size_t i = 0; i < sizeof(page); i++)
		page[i] = payload_byte(i);
	vcpu.view.vmcb12 = page;
	for (size_t i = 0; i < sizeof(vmcb_known) / sizeof(vmcb_known[0]); i++) {
		const struct nm_field *field = nm_field_find(vmcb_known[i].name);
		uint64_t expected = 0;

		ck_assert_msg(field != NULL, "%s", vmcb_known[i].name);
		for (uint32_t b = vmcb_known[i].width; b-- > 0;)
			expected = expected << 8 | page[vmcb_known[i].offset + b];
		ck_assert_msg(nm_field_value(&vcpu, field) == expected, "%s", field->name);
	}
}
END_TEST

START_TEST(names_are_unique_and_found)
{
	for (size_t i = 0; i < nm_field_count(); i++)
		ck_assert_msg(nm_field_find(nm_field_at(i)->name) == nm_field_at(i), "%s twice",
			      nm_field_at(i)->name);
	ck_assert_ptr_null(nm_field_find(""));
	ck_assert_ptr_null(nm_field_find("sregs"));
	ck_assert_ptr_null(nm_field_find("sregs.cr0 "));
}
END_TEST

/* A header is a union: vmxon_pa of an SVM vCPU has no bytes, though offset 8 has some. */
START_TEST(a_field_of_the_other_format_has_no_offset)
{
	struct nm_vcpu vcpu = {0};
	const struct nm_field *vmcb_pa = nm_field_find("nested_state.vmcb_pa");
	const struct nm_field *vmxon_pa = nm_field_find("nested_state.vmxon_pa");
	struct nm_origin origin = {.offset = 100, .size = 128, .layout = NM_LAYOUT_KVM};

	nm_vcpu_set_item(&vcpu, NESTMIG_ITEM_NESTED, origin);
	vcpu.view.nested.format = KVMNS_FORMAT_SVM;
	ck_assert_uint_eq(nm_field_offset(&vcpu, vmcb_pa, NULL, NULL), 108);
	ck_assert_uint_eq(nm_field_offset(&vcpu, vmxon_pa, NULL, NULL), UINT64_MAX);
	vcpu.view.nested.format = KVMNS_FORMAT_VMX;
	ck_assert_uint_eq(nm_field_offset(&vcpu, vmcb_pa, NULL, NULL), UINT64_MAX);
	ck_assert_uint_eq(nm_field_offset(&vcpu, vmxon_pa, NULL, NULL), 108);
	/* In a QEMU stream without the subsection of the format it has none either. */
	origin.layout = NM_LAYOUT_QEMU;
	origin.size = 8;
	nm_vcpu_set_item(&vcpu, NESTMIG_ITEM_NESTED, origin);
	ck_assert_uint_eq(nm_field_offset(&vcpu, vmxon_pa, NULL, NULL), UINT64_MAX);
	ck_assert_uint_eq(nm_field_offset(&vcpu, nm_field_find("nested_state.size"), NULL, NULL),
			  104);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fields");
	TCase *tcase = tcase_create("fields");

	tcase_add_loop_test(tcase, offsets_are_those_of_the_uapi, 0, sizeof(kvm) / sizeof(kvm[0]));
	tcase_add_test(tcase, every_field_has_its_place_in_the_uapi);
	tcase_add_test(tcase, offsets_are_those_of_a_qemu_stream);
	tcase_add_test(tcase, loading_from_qemu_takes_each_field_from_its_place);
	tcase_add_test(tcase, a_short_payload_leaves_fields_alone);
	tcase_add_test(tcase, rows_of_a_page_stay_in_it_and_do_not_overlap);
	tcase_add_test(tcase, vmcs_encodings_agree_with_widths);
	tcase_add_test(tcase, the_vmcb_is_laid_out_as_in_the_manual);
	tcase_add_test(tcase, names_are_unique_and_found);
	tcase_add_test(tcase, a_field_of_the_other_format_has_no_offset);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
