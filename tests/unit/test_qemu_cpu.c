// SPDX-License-Identifier: GPL-2.0-or-later
/* Section "cpu" of a QEMU stream: made payloads, and what QEMU makes of them before it calls KVM. */
#include "stream.h"

/* Offsets in the fixed part (formats.md 1.8). */
#define AT_RFLAGS    136
#define AT_HFLAGS    144
#define AT_CR0       456
#define AT_EFER      816
#define AT_HFLAGS2   876
#define AT_INTERRUPT 1149
#define AT_EXCEPTION 1165
#define AT_CS_FLAGS  (256 + 16)

#define HF_SMM       (1U << 19)
#define HF_GUEST     (1U << 21)

static struct stream cpu;
static struct nestmig_state *state;

static void setup(void)
{
	cpu = (struct stream){0};
	state = NULL;
	put_cpu_fixed(&cpu);
}

static void teardown(void)
{
	stream_free(&cpu);
	nestmig_state_free(state);
}

static void read_cpu(uint32_t version)
{
	struct stream s = {0};

	put_device_stream(&s, &cpu, version);
	state = must_read(&s);
	ck_assert_uint_eq(nestmig_state_vcpu_count(state), 1);
	stream_free(&s);
}

static void refuse_cpu(uint32_t version, enum nestmig_error error, const char *says)
{
	struct stream s = {0};
	struct nestmig_detail detail;

	put_device_stream(&s, &cpu, version);
	detail = must_refuse(&s, error, says);
	ck_assert(detail.has_offset);
	ck_assert_uint_le(detail.offset, s.size);
	stream_free(&s);
}

static void set_nested(uint16_t flags, uint32_t hflags, uint32_t hflags2)
{
	set_be(cpu.p + AT_HFLAGS, hflags, 4);
	set_be(cpu.p + AT_HFLAGS2, hflags2, 4);
	set_be(cpu.p + AT_EFER, 0x1500, 8);
	put_nested_svm(&cpu, flags, 0x113000);
}

static bool has(enum nestmig_item item)
{
	return nm_vcpu_has(&state->vcpus[0], UINT64_C(1) << item);
}

START_TEST(versions_11_and_12_are_known)
{
	put_subsection(&cpu, "cpu/tsc_khz");
	put_be(&cpu, 0x231860, 8);
	read_cpu(12);
	ck_assert_uint_eq(state->vcpus[0].qemu.version, 12);
	refuse_cpu(10, NESTMIG_ERR_UNSUPPORTED, "version 10");
	refuse_cpu(13, NESTMIG_ERR_UNSUPPORTED, "version 13");
	refuse_cpu(0, NESTMIG_ERR_UNSUPPORTED, "version 0");
	/* Version 11 has no xcr0, xstate_bv and ymm. */
	refuse_cpu(11, NESTMIG_ERR_FORMAT, "does not end here");
	cpu.size = 1545;
	nestmig_state_free(state);
	set_nested(0x101, HF_GUEST, 1);
	read_cpu(11);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	ck_assert_uint_eq(state->vcpus[0].view.vmcb12[5], 25);
}
END_TEST

/* ---- Flags ----------------------------------------------------------------------------------- */

START_TEST(effective_flags_come_from_hflags)
{
	static const struct {
		uint16_t stored;
		uint32_t hflags, hflags2;
		uint16_t effective;
	} rows[] = {
		{0x101, HF_GUEST, 1, 0x101}, {0x101, HF_GUEST, 0, 0x001},
		{0x001, HF_GUEST, 1, 0x101}, {0x101, 0, 1, 0x100},
		{0x101, 0, 0, 0x000},        {0x000, 0, 1, 0x100},
		{0x103, HF_GUEST, 1, 0x103}, {0x002, 0, 0x101, 0x102},
		{0xfefe, 0, 0, 0xfefe},      {0x001, HF_GUEST, 0x100, 0x001},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cpu.size = CPU_FIXED;
		set_nested(rows[i].stored, rows[i].hflags, rows[i].hflags2);
		read_cpu(12);
		ck_field(state, 0, "nested_state.flags", rows[i].effective);
		ck_field(state, 0, "nested_state.stored_flags", rows[i].stored);
		ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]),
				 rows[i].effective & 1 ? "L2" : "L1");
		nestmig_state_free(state);
	}
	state = NULL;
}
END_TEST

START_TEST(guest_mode_without_nested_state_is_refused_as_qemu_does)
{
	set_be(cpu.p + AT_HFLAGS, HF_GUEST, 4);
	refuse_cpu(12, NESTMIG_ERR_FORMAT, "QEMU refuses");
	set_nested(0x100, HF_GUEST, 1);
	refuse_cpu(12, NESTMIG_ERR_FORMAT, "QEMU refuses");
}
END_TEST

/* Outside guest mode an SVM vCPU has no subsection: QEMU sets the GIF alone. */
START_TEST(svm_outside_of_guest_mode)
{
	set_be(cpu.p + AT_EFER, 0x1500, 8);
	set_be(cpu.p + AT_HFLAGS2, 0x101, 4);
	set_be(cpu.p + 880, 0x111000, 8);
	read_cpu(12);
	ck_field(state, 0, "nested_state.flags", KVMNS_GIF_SET);
	ck_field(state, 0, "nested_state.format", KVMNS_FORMAT_SVM);
	ck_field(state, 0, "hsave_pa", 0x111000);
	ck_assert(!has(NESTMIG_ITEM_VMCB12));
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_AMD);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L1");
}
END_TEST

START_TEST(no_nested_use_has_no_nested_state)
{
	read_cpu(12);
	ck_assert(!has(NESTMIG_ITEM_NESTED));
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_UNKNOWN);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "L1");
	nestmig_state_free(state);
	/* A GIF that is clear says SVM, though EFER.SVME is clear too. */
	set_be(cpu.p + AT_HFLAGS2, 0, 4);
	read_cpu(12);
	ck_field(state, 0, "nested_state.flags", 0);
	ck_field(state, 0, "nested_state.format", KVMNS_FORMAT_SVM);
}
END_TEST

START_TEST(what_a_stream_does_not_carry_is_absent)
{
	static const char *const fields[] = {"events.exception_error_code",
					     "events.interrupt_shadow", "sregs.pdptr0"};

	set_nested(0x101, HF_GUEST, 1);
	read_cpu(12);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		ck_assert_msg(!has_field(state, 0, fields[i]), "%s", fields[i]);
	ck_assert(!has(NESTMIG_ITEM_CPUID));
	ck_assert(!has(NESTMIG_ITEM_MEMORY));
	ck_assert(!has(NESTMIG_ITEM_VMCS12));
	ck_assert(has(NESTMIG_ITEM_EVENTS) && has(NESTMIG_ITEM_DEBUGREGS));
	/* Zero is something else than absent. */
	ck_field(state, 0, "events.nmi_pending", 0);
	ck_field(state, 0, "mp_state", 0);
}
END_TEST

/* ---- Events ---------------------------------------------------------------------------------- */

static void put_exception_info(uint8_t pending, uint8_t injected, uint8_t has_payload,
			       uint64_t payload)
{
	put_subsection(&cpu, "cpu/exception_info");
	put_be(&cpu, pending, 1);
	put_be(&cpu, injected, 1);
	put_be(&cpu, has_payload, 1);
	put_be(&cpu, payload, 8);
}

START_TEST(an_exception_without_info_counts_as_injected)
{
	set_be(cpu.p + AT_EXCEPTION, 14, 4);
	cpu.p[1172] = 1;
	read_cpu(12);
	ck_field(state, 0, "events.exception_injected", 1);
	ck_field(state, 0, "events.exception_pending", 0);
	ck_field(state, 0, "events.exception_nr", 14);
	ck_field(state, 0, "events.exception_has_error_code", 1);
	ck_assert(!has_field(state, 0, "events.exception_error_code"));
}
END_TEST

START_TEST(no_exception_is_minus_one)
{
	read_cpu(12);
	ck_field(state, 0, "events.exception_injected", 0);
	ck_field(state, 0, "events.exception_pending", 0);
	nestmig_state_free(state);
	/* 255 is a number that KVM refuses, not "none". */
	set_be(cpu.p + AT_EXCEPTION, 255, 4);
	read_cpu(12);
	ck_field(state, 0, "events.exception_injected", 1);
	ck_field(state, 0, "events.exception_nr", 255);
}
END_TEST

START_TEST(exception_info_is_taken_as_it_stands)
{
	set_be(cpu.p + AT_EXCEPTION, 1, 4);
	put_exception_info(1, 0, 1, UINT64_C(0x4000000000000001));
	read_cpu(12);
	ck_field(state, 0, "events.exception_pending", 1);
	ck_field(state, 0, "events.exception_injected", 0);
	ck_field(state, 0, "events.exception_has_payload", 1);
	ck_field(state, 0, "events.exception_payload", UINT64_C(0x4000000000000001));
	ck_assert_uint_eq(value_of(state, 0, "events.flags") & 0x10, 0x10);
}
END_TEST

START_TEST(an_error_code_is_there_from_qemu_10_2_on)
{
	set_be(cpu.p + AT_EXCEPTION, 14, 4);
	put_subsection(&cpu, "cpu/error_code");
	put_be(&cpu, 0x10005, 4);
	set_nested(0x101, HF_GUEST, 1);
	read_cpu(12);
	ck_field(state, 0, "events.exception_error_code", 0x10005);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
}
END_TEST

START_TEST(events_from_fixed_fields_and_flags)
{
	set_be(cpu.p + AT_INTERRUPT, 0x31, 4);
	memcpy(cpu.p + 1169, "\1\1\1\1", 4);
	set_be(cpu.p + 1173, 0x99, 4);
	set_be(cpu.p + AT_HFLAGS, HF_SMM, 4);
	set_be(cpu.p + AT_HFLAGS2, 1U << 2 | 1U << 4, 4);
	put_subsection(&cpu, "cpu/triple_fault");
	put_be(&cpu, 1, 1);
	read_cpu(12);
	ck_field(state, 0, "events.interrupt_injected", 1);
	ck_field(state, 0, "events.interrupt_nr", 0x31);
	ck_field(state, 0, "events.interrupt_soft", 1);
	ck_field(state, 0, "events.nmi_injected", 1);
	ck_field(state, 0, "events.nmi_pending", 1);
	ck_field(state, 0, "events.nmi_masked", 1);
	ck_field(state, 0, "events.sipi_vector", 0x99);
	ck_field(state, 0, "events.smi_smm", 1);
	ck_field(state, 0, "events.smi_inside_nmi", 1);
	ck_field(state, 0, "events.triple_fault", 1);
	/* VALID_NMI_PENDING, VALID_SMM, VALID_PAYLOAD, VALID_TRIPLE_FAULT */
	ck_field(state, 0, "events.flags", 0x1 | 0x8 | 0x10 | 0x20);
	ck_assert_str_eq(nm_vcpu_mode(&state->vcpus[0]), "SMM");
}
END_TEST

/* ---- Segments -------------------------------------------------------------------------------- */

static void set_segment(size_t at, uint32_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
	set_be(cpu.p + at, selector, 4);
	set_be(cpu.p + at + 4, base, 8);
	set_be(cpu.p + at + 12, limit, 4);
	set_be(cpu.p + at + 16, flags, 4);
}

START_TEST(segment_flags_are_those_of_a_descriptor)
{
	const struct nestmig_sregs *sregs;

	set_segment(256, 0x33, 0x1000, 0xfffff, 0x00b0fb00); /* cs: G, L, AVL, P, DPL 3, S, 11 */
	set_segment(276, 0x2b, 0x2000, 0xfffff, 0x0040f300); /* ss: D/B, P, DPL 3, S, 3 */
	set_segment(356, 0x28, 0x3000, 0x67, 0x00008200);    /* ldt: P, 2 */
	set_segment(336, 0x18, 0x4000, 0x1234, 0x00c07300);  /* gs: not present */
	read_cpu(12);
	sregs = &state->vcpus[0].view.sregs;
	ck_assert_uint_eq(sregs->cs.selector, 0x33);
	ck_assert_uint_eq(sregs->cs.base, 0x1000);
	ck_assert_uint_eq(sregs->cs.limit, 0xfffff);
	ck_assert(sregs->cs.type == 11 && sregs->cs.s && sregs->cs.dpl == 3 && sregs->cs.present);
	ck_assert(sregs->cs.g && sregs->cs.l && sregs->cs.avl && !sregs->cs.db);
	ck_assert(!sregs->cs.unusable);
	ck_assert(sregs->ss.type == 3 && sregs->ss.db && !sregs->ss.g && !sregs->ss.l);
	ck_assert(sregs->ldt.type == 2 && !sregs->ldt.s && sregs->ldt.present);
	/* "Unusable" is lost and becomes "not present". */
	ck_assert(!sregs->gs.present && sregs->gs.unusable && sregs->gs.dpl == 3);
	ck_assert_uint_eq(sregs->gs.base, 0x4000);
}
END_TEST

START_TEST(virtual_8086_forces_attributes)
{
	const struct nestmig_sregs *sregs;

	set_be(cpu.p + AT_RFLAGS, 0x20002, 8);
	for (size_t i = 0; i < 8; i++)
		set_segment(236 + 20 * i, 0x1000, 0x10000, 0xffff, 0x00f08200);
	read_cpu(12);
	sregs = &state->vcpus[0].view.sregs;
	for (const struct nestmig_segment *s = &sregs->cs; s <= &sregs->ss; s++) {
		ck_assert(s->type == 3 && s->present && s->dpl == 3 && s->s);
		ck_assert(!s->db && !s->l && !s->g && !s->avl && !s->unusable);
		ck_assert_uint_eq(s->base, 0x10000);
	}
	ck_assert(sregs->tr.type == 2 && !sregs->tr.s && sregs->tr.dpl == 0 && sregs->tr.g);
	ck_assert(sregs->ldt.type == 2 && sregs->ldt.db);
	nestmig_state_free(state);
	/* kvm_put_sregs looks at RFLAGS.VM alone, also with PE clear. */
	set_be(cpu.p + AT_CR0, 0x10, 8);
	read_cpu(12);
	sregs = &state->vcpus[0].view.sregs;
	ck_assert(sregs->cs.type == 3 && sregs->cs.dpl == 3);
}
END_TEST

START_TEST(real_mode_clears_dpl)
{
	const struct nestmig_sregs *sregs;

	set_be(cpu.p + AT_CR0, 0x10, 8);
	for (size_t i = 0; i < 8; i++)
		set_segment(236 + 20 * i, 0, 0, 0xffff, 0x0000f300);
	read_cpu(12);
	sregs = &state->vcpus[0].view.sregs;
	for (const struct nestmig_segment *s = &sregs->cs; s <= &sregs->ss; s++)
		ck_assert_uint_eq(s->dpl, 0);
	ck_assert_uint_eq(sregs->tr.dpl, 3);
	nestmig_state_free(state);
	/* Only if CS has one. */
	set_be(cpu.p + AT_CS_FLAGS, 0x00009300, 4);
	read_cpu(12);
	ck_assert_uint_eq(state->vcpus[0].view.sregs.ss.dpl, 3);
	nestmig_state_free(state);
	/* And only in real mode. */
	set_be(cpu.p + AT_CS_FLAGS, 0x0000f300, 4);
	set_be(cpu.p + AT_CR0, 0x11, 8);
	read_cpu(12);
	ck_assert_uint_eq(state->vcpus[0].view.sregs.cs.dpl, 3);
}
END_TEST

/* ---- Subsections ----------------------------------------------------------------------------- */

/* All that may stand before nested_state, in stream order, with their sizes (formats.md 1.8). */
static const struct {
	const char *name;
	size_t size;
} before[] = {
	{"exception_info", 11},
	{"error_code", 4},
	{"async_pf_msr", 8},
	{"async_pf_int_msr", 8},
	{"async_pv_eoi_msr", 8},
	{"steal_time_msr", 8},
	{"poll_control_msr", 8},
	{"fpop_ip_dp", 18},
	{"msr_tsc_adjust", 8},
	{"msr_tscdeadline", 8},
	{"msr_ia32_misc_enable", 8},
	{"msr_ia32_feature_control", 8},
	{"msr_architectural_pmu", 344},
	{"mpx", 88},
	{"msr_hyperv_hypercall", 16},
	{"msr_hyperv_vapic", 8},
	{"msr_hyperv_time", 8},
	{"msr_hyperv_crash", 40},
	{"msr_hyperv_runtime", 8},
	{"msr_hyperv_synic", 152},
	{"msr_hyperv_stimer", 64},
	{"msr_hyperv_reenlightenment", 24},
	{"avx512", 1600},
	{"xss", 8},
	{"umwait", 4},
	{"tsc_khz", 8},
	{"msr_smi_count", 8},
	{"pkru", 4},
	{"pkrs", 4},
	{"spec_ctrl", 8},
	{"amd_tsc_scale_msr", 8},
	{"mcg_ext_ctl", 8},
	{"intel_pt", 104},
	{"virt_ssbd", 8},
	{"svn_npt", 12},
	{"svm_guest", 4},
};

static const struct {
	const char *name;
	size_t size;
} after[] = {
	{"xen_vcpu", 97},  {"msr_tsx_ctrl", 4}, {"intel_sgx", 32},  {"pdptrs", 32},
	{"msr_xfd", 16},   {"msr_hwcr", 8},     {"fred", 72},       {"intel_amx_xtile", 8256},
	{"arch_lbr", 784}, {"triple_fault", 1}, {"msr_pl0_ssp", 8}, {"cet", 16},
	{"cet_shstk", 40}, {"apx", 128},
};

static void put_any(const char *name, size_t size)
{
	char full[64];

	snprintf(full, sizeof(full), "cpu/%s", name);
	put_subsection(&cpu, full);
	/* Content that looks like a subsection must not matter. */
	put_fill(&cpu, 5, size);
}

START_TEST(every_subsection_is_passed)
{
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		put_any(before[i].name, before[i].size);
	set_nested(0x101, HF_GUEST, 1);
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
		put_any(after[i].name, after[i].size);
	read_cpu(12);
	ck_field(state, 0, "nested_state.vmcb_pa", 0x113000);
	ck_field(state, 0, "vmcb12.control.intercept_cr", 0x0f0a0500);
	ck_field(state, 0, "sregs.pdptr3", UINT64_C(0x0505050505050505));
	ck_field(state, 0, "events.triple_fault", 5);
}
END_TEST

START_TEST(an_unknown_subsection_needs_a_vmdesc)
{
	struct nestmig_detail detail;
	struct stream s = {0};
	size_t at = cpu.size;

	put_any("of_the_future", 24);
	put_device_stream(&s, &cpu, 12);
	detail = must_refuse(&s, NESTMIG_ERR_UNSUPPORTED, "cpu/of_the_future");
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, s.size - 6 - cpu.size + at);
	stream_free(&s);
}
END_TEST

START_TEST(a_subsection_of_another_version_is_refused)
{
	put_subsection(&cpu, "cpu/tsc_khz");
	cpu.p[cpu.size - 1] = 2;
	put_be(&cpu, 0, 8);
	refuse_cpu(12, NESTMIG_ERR_UNSUPPORTED, "version 2");
}
END_TEST

START_TEST(a_page_that_is_cut_is_refused)
{
	struct stream whole = {0};

	set_nested(0x101, HF_GUEST, 1);
	put_device_stream(&whole, &cpu, 12);
	/* Without the bytes behind it, so that there is nothing to read instead. */
	for (size_t cut = 7; cut < 4096 + 64; cut += 97) {
		struct stream s = {.p = whole.p, .size = whole.size - cut};

		must_refuse(&s, NESTMIG_ERR_TRUNCATED, "");
	}
	stream_free(&whole);
}
END_TEST

/* ---- VMX ------------------------------------------------------------------------------------- */

static void put_nested_vmx(uint16_t flags, uint32_t size, bool has_vmx, bool vmcs12, bool shadow)
{
	put_subsection(&cpu, "cpu/nested_state");
	put_be(&cpu, flags, 2);
	put_be(&cpu, 0, 2);
	put_be(&cpu, size, 4);
	if (!has_vmx)
		return;
	put_subsection(&cpu, "cpu/kvm_nested_state/vmx");
	put_be(&cpu, 0x1111000, 8);
	put_be(&cpu, 0x2222000, 8);
	put_be(&cpu, 3, 2);
	if (vmcs12) {
		put_subsection(&cpu, "cpu/kvm_nested_state/vmx/vmcs12");
		put_fill(&cpu, 0x12, 4096);
	}
	if (shadow) {
		put_subsection(&cpu, "cpu/kvm_nested_state/vmx/shadow_vmcs12");
		put_fill(&cpu, 0x34, 4096);
	}
}

START_TEST(vmx_in_guest_mode)
{
	uint64_t offset;

	set_be(cpu.p + AT_HFLAGS, HF_GUEST, 4);
	set_be(cpu.p + AT_HFLAGS2, 1, 4);
	put_nested_vmx(1, 8320, true, true, true);
	put_any("tsc_khz", 8);
	read_cpu(12);
	/* GIF is illegal on VMX: QEMU does not set it. */
	ck_field(state, 0, "nested_state.flags", KVMNS_GUEST_MODE);
	ck_field(state, 0, "nested_state.format", KVMNS_FORMAT_VMX);
	ck_field(state, 0, "nested_state.vmxon_pa", 0x1111000);
	ck_field(state, 0, "nested_state.vmcs12_pa", 0x2222000);
	ck_field(state, 0, "nested_state.smm_flags", 3);
	ck_field(state, 0, "vmcs12.io_bitmap_a", UINT64_C(0x1212121212121212));
	ck_field(state, 0, "shadow_vmcs12.guest_cs_selector", 0x3434);
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_INTEL);
	/* Their place in the stream: 46 and 12 bytes before cpu/nested_state there is the payload. */
	ck_assert(nm_vcpu_field(&state->vcpus[0], "nested_state.vmcs12_pa", NULL, NULL, &offset));
	ck_assert_uint_eq(offset,
			  state->vcpus[0].origin[NESTMIG_ITEM_SREGS].offset + CPU_FIXED + 22 + 46);
	/* vmcb_pa has none. */
	ck_assert(nm_vcpu_field(&state->vcpus[0], "nested_state.vmcb_pa", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
}
END_TEST

START_TEST(vmx_with_vmxon_only)
{
	put_nested_vmx(0, 128, true, false, false);
	read_cpu(12);
	ck_field(state, 0, "nested_state.vmxon_pa", 0x1111000);
	ck_assert(!has(NESTMIG_ITEM_VMCS12));
	ck_assert(!has(NESTMIG_ITEM_SHADOW_VMCS12));
	nestmig_state_free(state);
	cpu.size = CPU_FIXED;
	put_nested_vmx(0, 4224, true, true, false);
	read_cpu(12);
	ck_assert(has(NESTMIG_ITEM_VMCS12));
	ck_assert(!has(NESTMIG_ITEM_SHADOW_VMCS12));
}
END_TEST

START_TEST(vmx_without_its_subsection_is_not_in_vmx_operation)
{
	uint64_t offset;

	put_nested_vmx(0, 128, false, false, false);
	read_cpu(12);
	ck_field(state, 0, "nested_state.vmxon_pa", UINT64_MAX);
	ck_field(state, 0, "nested_state.vmcs12_pa", UINT64_MAX);
	ck_assert(nm_vcpu_field(&state->vcpus[0], "nested_state.vmxon_pa", NULL, NULL, &offset));
	ck_assert_uint_eq(offset, UINT64_MAX);
}
END_TEST

START_TEST(feature_control_means_intel)
{
	put_any("msr_ia32_feature_control", 8);
	read_cpu(12);
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_INTEL);
	ck_assert(!has(NESTMIG_ITEM_NESTED));
	nestmig_state_free(state);
	/* There the GIF says nothing: old versions of QEMU leave it clear. */
	set_be(cpu.p + AT_HFLAGS2, 0, 4);
	read_cpu(12);
	ck_assert_int_eq(state->vendor, NESTMIG_VENDOR_INTEL);
	ck_assert(!has(NESTMIG_ITEM_NESTED));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qemu_cpu");
	TCase *tcase = tcase_create("qemu_cpu");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, versions_11_and_12_are_known);
	tcase_add_test(tcase, effective_flags_come_from_hflags);
	tcase_add_test(tcase, guest_mode_without_nested_state_is_refused_as_qemu_does);
	tcase_add_test(tcase, svm_outside_of_guest_mode);
	tcase_add_test(tcase, no_nested_use_has_no_nested_state);
	tcase_add_test(tcase, what_a_stream_does_not_carry_is_absent);
	tcase_add_test(tcase, an_exception_without_info_counts_as_injected);
	tcase_add_test(tcase, no_exception_is_minus_one);
	tcase_add_test(tcase, exception_info_is_taken_as_it_stands);
	tcase_add_test(tcase, an_error_code_is_there_from_qemu_10_2_on);
	tcase_add_test(tcase, events_from_fixed_fields_and_flags);
	tcase_add_test(tcase, segment_flags_are_those_of_a_descriptor);
	tcase_add_test(tcase, virtual_8086_forces_attributes);
	tcase_add_test(tcase, real_mode_clears_dpl);
	tcase_add_test(tcase, every_subsection_is_passed);
	tcase_add_test(tcase, an_unknown_subsection_needs_a_vmdesc);
	tcase_add_test(tcase, a_subsection_of_another_version_is_refused);
	tcase_add_test(tcase, a_page_that_is_cut_is_refused);
	tcase_add_test(tcase, vmx_in_guest_mode);
	tcase_add_test(tcase, vmx_with_vmxon_only);
	tcase_add_test(tcase, vmx_without_its_subsection_is_not_in_vmx_operation);
	tcase_add_test(tcase, feature_control_means_intel);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
