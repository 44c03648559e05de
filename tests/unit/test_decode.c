// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding the structs of KVM's ioctls and making them again. */
#include <linux/kvm.h>

#include "stream.h"

static struct nm_vcpu vcpu, again;

static void teardown(void)
{
	free(vcpu.msrs);
	free(vcpu.cpuid);
	free(again.msrs);
	free(again.cpuid);
}

static void setup(void)
{
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&again, 0, sizeof(again));
}

static enum nestmig_error decode(struct nm_vcpu *into, enum nm_kvm_struct kind, const void *bytes,
				 size_t size, struct nestmig_detail *detail)
{
	struct nm_origin origin = {
		.offset = 1000, .bytes = bytes, .size = size, .layout = NM_LAYOUT_KVM};

	return nm_decode_kvm(into, kind, origin, detail);
}

static void must_decode(struct nm_vcpu *into, enum nm_kvm_struct kind, const void *bytes,
			size_t size)
{
	struct nestmig_detail detail = {0};

	ck_ok(decode(into, kind, bytes, size, &detail), detail);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

static const struct {
	enum nm_kvm_struct kind;
	size_t size;
	const char *name;
} sizes[] = {
	{NM_KVM_SREGS, sizeof(struct kvm_sregs), "sregs"},
	{NM_KVM_SREGS2, sizeof(struct kvm_sregs2), "sregs2"},
	{NM_KVM_REGS, sizeof(struct kvm_regs), "regs"},
	{NM_KVM_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), "vcpu_events"},
	{NM_KVM_DEBUGREGS, sizeof(struct kvm_debugregs), "debugregs"},
	{NM_KVM_MP_STATE, sizeof(struct kvm_mp_state), "mp_state"},
};

START_TEST(a_struct_has_one_size)
{
	static const uint8_t bytes[512];
	struct nestmig_detail detail = {0};
	size_t size = sizes[_i].size;

	ck_assert_str_eq(nm_kvm_struct_name(sizes[_i].kind), sizes[_i].name);
	must_decode(&vcpu, sizes[_i].kind, bytes, size);
	ck_assert_uint_ne(vcpu.view.have, 0);
	ck_assert_int_eq(decode(&again, sizes[_i].kind, bytes, size - 1, &detail),
			 NESTMIG_ERR_TRUNCATED);
	ck_assert(detail.has_offset);
	ck_assert_uint_eq(detail.offset, 1000);
	ck_assert_int_eq(decode(&again, sizes[_i].kind, bytes, 0, &detail), NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(decode(&again, sizes[_i].kind, bytes, size + 1, &detail),
			 NESTMIG_ERR_FORMAT);
	ck_assert_uint_eq(again.view.have, 0);
}
END_TEST

START_TEST(lists_have_whole_entries_and_a_limit)
{
	struct nestmig_detail detail = {0};
	uint8_t *many = calloc(4097, sizeof(struct kvm_cpuid_entry2));
	size_t msr = sizeof(struct kvm_msr_entry), cpuid = sizeof(struct kvm_cpuid_entry2);

	ck_assert_ptr_nonnull(many);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_MSRS, many, msr + 1, &detail), NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_CPUID, many, cpuid - 1, &detail),
			 NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_MSRS, many, 4097 * msr, &detail), NESTMIG_ERR_LIMIT);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_CPUID, many, 4097 * cpuid, &detail),
			 NESTMIG_ERR_LIMIT);
	ck_assert_uint_eq(vcpu.view.have, 0);
	must_decode(&vcpu, NM_KVM_MSRS, many, 4096 * msr);
	must_decode(&vcpu, NM_KVM_MSRS, many, 0);
	ck_assert_uint_eq(vcpu.msr_count, 0);
	must_decode(&vcpu, NM_KVM_CPUID, many, 0);
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(MSRS) | NESTMIG_HAVE(CPUID)));
	free(many);
}
END_TEST

/* ---- There and back -------------------------------------------------------------------------- */

/* Fills a struct so that every byte differs from the ones around it. */
static void fill(void *bytes, size_t size, uint8_t seed)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(seed + i * 29 + (i >> 8) * 67);
}

/* Bytes to view to bytes: the same. */
static void round_trip(enum nm_kvm_struct kind, const void *bytes, size_t size)
{
	uint8_t made[NM_KVM_STRUCT_MAX];
	size_t made_size = 0;

	must_decode(&vcpu, kind, bytes, size);
	nm_encode_kvm(&vcpu, kind, made, &made_size);
	ck_assert_uint_eq(made_size, size);
	ck_assert_mem_eq(made, bytes, size);
	/* And to the same view again. */
	must_decode(&again, kind, made, made_size);
	ck_assert_uint_eq(again.view.have, vcpu.view.have);
	for (size_t i = 0; i < nm_field_count(); i++)
		if (nm_vcpu_has(&vcpu, UINT64_C(1) << nm_field_at(i)->item))
			ck_assert_msg(nm_field_value(&vcpu, nm_field_at(i)) ==
					      nm_field_value(&again, nm_field_at(i)),
				      "%s", nm_field_at(i)->name);
}

START_TEST(regs)
{
	struct kvm_regs s;

	fill(&s, sizeof(s), 1);
	round_trip(NM_KVM_REGS, &s, sizeof(s));
	ck_assert_uint_eq(vcpu.view.regs.rax, s.rax);
	ck_assert_uint_eq(vcpu.view.regs.rbx, s.rbx);
	ck_assert_uint_eq(vcpu.view.regs.rcx, s.rcx);
	ck_assert_uint_eq(vcpu.view.regs.rdx, s.rdx);
	ck_assert_uint_eq(vcpu.view.regs.rsi, s.rsi);
	ck_assert_uint_eq(vcpu.view.regs.rdi, s.rdi);
	ck_assert_uint_eq(vcpu.view.regs.rsp, s.rsp);
	ck_assert_uint_eq(vcpu.view.regs.rbp, s.rbp);
	ck_assert_uint_eq(vcpu.view.regs.r8, s.r8);
	ck_assert_uint_eq(vcpu.view.regs.r15, s.r15);
	ck_assert_uint_eq(vcpu.view.regs.rip, s.rip);
	ck_assert_uint_eq(vcpu.view.regs.rflags, s.rflags);
}
END_TEST

static void check_segment(const struct nestmig_segment *is, const struct kvm_segment *s)
{
	ck_assert_uint_eq(is->base, s->base);
	ck_assert_uint_eq(is->limit, s->limit);
	ck_assert_uint_eq(is->selector, s->selector);
	ck_assert_uint_eq(is->type, s->type);
	ck_assert_uint_eq(is->present, s->present);
	ck_assert_uint_eq(is->dpl, s->dpl);
	ck_assert_uint_eq(is->db, s->db);
	ck_assert_uint_eq(is->s, s->s);
	ck_assert_uint_eq(is->l, s->l);
	ck_assert_uint_eq(is->g, s->g);
	ck_assert_uint_eq(is->avl, s->avl);
	ck_assert_uint_eq(is->unusable, s->unusable);
}

static void clear_padding(struct kvm_segment *segments, struct kvm_dtable *tables)
{
	for (int i = 0; i < 8; i++)
		segments[i].padding = 0;
	for (int i = 0; i < 2; i++)
		memset(tables[i].padding, 0, sizeof(tables[i].padding));
}

START_TEST(sregs2_with_pdptrs)
{
	struct kvm_sregs2 s;

	fill(&s, sizeof(s), 2);
	s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	clear_padding(&s.cs, &s.gdt);
	round_trip(NM_KVM_SREGS2, &s, sizeof(s));
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(SREGS) | NESTMIG_HAVE(PDPTRS)));
	check_segment(&vcpu.view.sregs.cs, &s.cs);
	check_segment(&vcpu.view.sregs.ds, &s.ds);
	check_segment(&vcpu.view.sregs.es, &s.es);
	check_segment(&vcpu.view.sregs.fs, &s.fs);
	check_segment(&vcpu.view.sregs.gs, &s.gs);
	check_segment(&vcpu.view.sregs.ss, &s.ss);
	check_segment(&vcpu.view.sregs.tr, &s.tr);
	check_segment(&vcpu.view.sregs.ldt, &s.ldt);
	ck_assert_uint_eq(vcpu.view.sregs.gdt.base, s.gdt.base);
	ck_assert_uint_eq(vcpu.view.sregs.idt.limit, s.idt.limit);
	ck_assert_uint_eq(vcpu.view.sregs.cr0, s.cr0);
	ck_assert_uint_eq(vcpu.view.sregs.cr8, s.cr8);
	ck_assert_uint_eq(vcpu.view.sregs.apic_base, s.apic_base);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(vcpu.view.sregs.pdptrs[i], s.pdptrs[i]);
}
END_TEST

START_TEST(sregs2_without_pdptrs_has_none)
{
	struct kvm_sregs2 s;

	fill(&s, sizeof(s), 3);
	s.flags = 0;
	must_decode(&vcpu, NM_KVM_SREGS2, &s, sizeof(s));
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(SREGS)));
	ck_assert(!nm_vcpu_has(&vcpu, NESTMIG_HAVE(PDPTRS)));
	ck_assert(!nm_vcpu_field(&vcpu, "sregs.pdptr0", NULL, NULL, NULL));
}
END_TEST

START_TEST(sregs_become_sregs2)
{
	struct kvm_sregs s;
	struct kvm_sregs2 expected = {0};
	uint8_t made[NM_KVM_STRUCT_MAX];
	size_t size = 0;

	fill(&s, sizeof(s), 4);
	clear_padding(&s.cs, &s.gdt);
	must_decode(&vcpu, NM_KVM_SREGS, &s, sizeof(s));
	memcpy(&expected, &s, offsetof(struct kvm_sregs2, flags));
	nm_encode_kvm(&vcpu, NM_KVM_SREGS2, made, &size);
	ck_assert_uint_eq(size, sizeof(expected));
	ck_assert_mem_eq(made, &expected, sizeof(expected));
	nm_encode_kvm(&vcpu, NM_KVM_SREGS, made, &size);
	ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(events)
{
	struct kvm_vcpu_events s;

	fill(&s, sizeof(s), 5);
	memset(s.reserved, 0, sizeof(s.reserved));
	s.nmi.pad = 0;
	s.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_PAYLOAD | 0x80000000U;
	round_trip(NM_KVM_VCPU_EVENTS, &s, sizeof(s));
	ck_assert_uint_eq(vcpu.view.events.exc_injected, s.exception.injected);
	ck_assert_uint_eq(vcpu.view.events.exc_nr, s.exception.nr);
	ck_assert_uint_eq(vcpu.view.events.exc_has_error_code, s.exception.has_error_code);
	ck_assert_uint_eq(vcpu.view.events.exc_pending, s.exception.pending);
	ck_assert_uint_eq(vcpu.view.events.exc_error_code, s.exception.error_code);
	ck_assert_uint_eq(vcpu.view.events.intr_shadow, s.interrupt.shadow);
	ck_assert_uint_eq(vcpu.view.events.nmi_masked, s.nmi.masked);
	ck_assert_uint_eq(vcpu.view.events.sipi_vector, s.sipi_vector);
	ck_assert_uint_eq(vcpu.view.events.smi_latched_init, s.smi.latched_init);
	ck_assert_uint_eq(vcpu.view.events.triple_fault, s.triple_fault.pending);
	ck_assert_uint_eq(vcpu.view.events.exc_has_payload, s.exception_has_payload);
	ck_assert_uint_eq(vcpu.view.events.exc_payload, s.exception_payload);
}
END_TEST

/* KVM looks at the shadow only if the flag says so. */
START_TEST(a_shadow_that_is_not_valid_is_absent)
{
	struct kvm_vcpu_events s = {.interrupt.shadow = 1};

	must_decode(&vcpu, NM_KVM_VCPU_EVENTS, &s, sizeof(s));
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(EVENTS) | NESTMIG_HAVE(ERROR_CODE)));
	ck_assert(!nm_vcpu_has(&vcpu, NESTMIG_HAVE(INT_SHADOW)));
}
END_TEST

START_TEST(debugregs_and_mp_state)
{
	struct kvm_debugregs s;
	struct kvm_mp_state mp = {.mp_state = 0x12345678};

	fill(&s, sizeof(s), 6);
	memset(s.reserved, 0, sizeof(s.reserved));
	round_trip(NM_KVM_DEBUGREGS, &s, sizeof(s));
	ck_assert_uint_eq(vcpu.view.debugregs.db[3], s.db[3]);
	ck_assert_uint_eq(vcpu.view.debugregs.dr7, s.dr7);
	round_trip(NM_KVM_MP_STATE, &mp, sizeof(mp));
	ck_assert_uint_eq(vcpu.view.mp_state, mp.mp_state);
}
END_TEST

START_TEST(msrs)
{
	struct kvm_msr_entry s[3] = {{.index = 0x9e, .data = 0x30000},
				     {.index = 0xc0010117, .data = 0x123456789000},
				     {.index = 0xdeadbeef, .data = UINT64_MAX}};

	round_trip(NM_KVM_MSRS, s, sizeof(s));
	ck_assert_uint_eq(vcpu.msr_count, 3);
	ck_assert_uint_eq(vcpu.msrs[2].index, 0xdeadbeef);
	ck_assert_uint_eq(vcpu.msrs[2].value, UINT64_MAX);
	ck_assert_uint_eq(vcpu.view.smbase, 0x30000);
	ck_assert_uint_eq(vcpu.view.hsave_pa, 0x123456789000);
	ck_assert(nm_vcpu_has(&vcpu, NESTMIG_HAVE(SMBASE) | NESTMIG_HAVE(HSAVE_PA)));
}
END_TEST

/* Of those that rules ask about only whether they are in the list. */
START_TEST(msrs_listed)
{
	struct kvm_msr_entry all[] = {{.index = 0x175},
				      {.index = 0x176},
				      {.index = 0xc0000100},
				      {.index = 0xc0000101},
				      {.index = 0x174}};
	struct kvm_msr_entry one[] = {{.index = 0x176}};

	must_decode(&vcpu, NM_KVM_MSRS, all, sizeof(all));
	ck_assert_uint_eq(vcpu.view.msrs_listed,
			  NESTMIG_LISTED_SYSENTER_ESP | NESTMIG_LISTED_SYSENTER_EIP |
				  NESTMIG_LISTED_FS_BASE | NESTMIG_LISTED_GS_BASE);
	must_decode(&vcpu, NM_KVM_MSRS, one, sizeof(one));
	ck_assert_uint_eq(vcpu.view.msrs_listed, NESTMIG_LISTED_SYSENTER_EIP);
}
END_TEST

/* ---- Nested state ---------------------------------------------------------------------------- */

static uint8_t nested[128 + 8192];

static void fill_nested(uint16_t format, uint32_t size)
{
	struct kvm_nested_state s = {.flags = 0x0103, .format = format, .size = size};

	fill(nested, sizeof(nested), 7);
	if (format == KVM_STATE_NESTED_FORMAT_SVM) {
		s.hdr.svm.vmcb_pa = UINT64_C(0x1122334455667788);
		memcpy((uint8_t *)&s + 16, "\1\2\3\4\5\6\7\10", 8);
	} else {
		s.hdr.vmx.vmxon_pa = UINT64_C(0x0102030405060708);
		s.hdr.vmx.vmcs12_pa = UINT64_C(0x1112131415161718);
		s.hdr.vmx.smm.flags = 0x2122;
		s.hdr.vmx.flags = 0x31323334;
		s.hdr.vmx.preemption_timer_deadline = UINT64_C(0x4142434445464748);
	}
	memcpy(nested, &s, sizeof(s));
}

START_TEST(nested_svm)
{
	struct nestmig_vcpu_view *view = &vcpu.view;

	fill_nested(KVM_STATE_NESTED_FORMAT_SVM, 4224);
	round_trip(NM_KVM_NESTED_STATE, nested, 4224);
	ck_assert_uint_eq(view->nested.flags, 0x103);
	ck_assert_uint_eq(view->nested.stored_flags, 0x103);
	ck_assert_uint_eq(view->nested.size, 4224);
	ck_assert_uint_eq(view->nested.vmcb_pa, UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(view->nested.gpat, UINT64_C(0x0807060504030201));
	ck_assert_uint_eq(view->nested.vmxon_pa, 0);
	ck_assert_ptr_eq(view->vmcb12, nested + 128);
	ck_assert_ptr_null(view->vmcs12);
	ck_assert_uint_eq(vcpu.origin[NESTMIG_ITEM_VMCB12].offset, 1128);
	ck_assert_uint_eq(vcpu.origin[NESTMIG_ITEM_VMCB12].size, 4096);
}
END_TEST

START_TEST(nested_vmx)
{
	struct nestmig_vcpu_view *view = &vcpu.view;

	fill_nested(KVM_STATE_NESTED_FORMAT_VMX, 8320);
	round_trip(NM_KVM_NESTED_STATE, nested, 8320);
	ck_assert_uint_eq(view->nested.vmxon_pa, UINT64_C(0x0102030405060708));
	ck_assert_uint_eq(view->nested.vmcs12_pa, UINT64_C(0x1112131415161718));
	ck_assert_uint_eq(view->nested.vmx_smm_flags, 0x2122);
	ck_assert_uint_eq(view->nested.vmx_flags, 0x31323334);
	ck_assert_uint_eq(view->nested.preemption_deadline, UINT64_C(0x4142434445464748));
	ck_assert_ptr_eq(view->vmcs12, nested + 128);
	ck_assert_ptr_eq(view->shadow_vmcs12, nested + 4224);
	ck_assert_ptr_null(view->vmcb12);
}
END_TEST

/* GET_NESTED_STATE gives 128, 4224 or 8320 bytes; a file may hold less or more than it says. */
static const struct {
	uint16_t format;
	uint32_t says;
	size_t has;
	int pages;
} cuts[] = {
	{0, 128, 128, 0},         {0, 4224, 4224, 1},      {0, 8320, 8320, 2},
	{0, 4224, 8320, 1},       {0, 128, 8320, 0},       {0, 8320, 4224, 1},
	{0, 8320, 8319, 1},       {0, 8320, 128, 0},       {1, 128, 128, 0},
	{1, 4224, 4224, 1},       {1, 4224, 4223, 0},      {1, 128, 4224, 0},
	{1, 4224, 8320, 1},       {2, 4224, 4224, 0},      {0xffff, 8320, 8320, 0},
	{0, 0xffffffff, 4224, 1}, {1, 0xffffffff, 129, 0},
};

START_TEST(pages_are_there_if_size_and_file_say_so)
{
	int pages;

	fill_nested(cuts[_i].format, cuts[_i].says);
	must_decode(&vcpu, NM_KVM_NESTED_STATE, nested, cuts[_i].has);
	pages = !!vcpu.view.vmcb12 + !!vcpu.view.vmcs12 + !!vcpu.view.shadow_vmcs12;
	ck_assert_int_eq(pages, cuts[_i].pages);
	ck_assert_int_eq(nm_vcpu_has(&vcpu, NESTMIG_HAVE(VMCB12)), vcpu.view.vmcb12 != NULL);
	ck_assert_int_eq(nm_vcpu_has(&vcpu, NESTMIG_HAVE(VMCS12)), vcpu.view.vmcs12 != NULL);
	ck_assert_uint_eq(vcpu.view.nested.size, cuts[_i].says);
}
END_TEST

START_TEST(a_nested_header_is_whole)
{
	struct nestmig_detail detail = {0};

	fill_nested(1, 4224);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_NESTED_STATE, nested, 127, &detail),
			 NESTMIG_ERR_TRUNCATED);
	ck_assert_int_eq(decode(&vcpu, NM_KVM_NESTED_STATE, nested, 0, &detail),
			 NESTMIG_ERR_TRUNCATED);
	ck_assert_uint_eq(vcpu.view.have, 0);
}
END_TEST

START_TEST(what_a_vcpu_lacks_is_not_made)
{
	uint8_t made[NM_KVM_STRUCT_MAX];
	size_t size;

	for (int kind = 0; kind < NM_KVM_STRUCTS; kind++) {
		size = 1;
		nm_encode_kvm(&vcpu, kind, made, &size);
		ck_assert_uint_eq(size, 0);
	}
}
END_TEST

/* ---- CPUID ----------------------------------------------------------------------------------- */

START_TEST(cpuid_words)
{
	struct kvm_cpuid_entry2 s[] = {
		{.function = 0x80000000, .eax = 0x80000021},
		{.function = 7, .index = 1, .flags = 1, .eax = 0x71},
		{.function = 7, .index = 0, .flags = 1, .ebx = 0x7b, .ecx = 0x7c, .edx = 0x7d},
		{.function = 1, .index = 99, .ecx = 0x1c, .edx = 0x1d},
		{.function = 0xa, .eax = 0xaa, .edx = 0xad},
		{.function = 0x40000001, .eax = 0x41},
		{.function = 0xd, .index = 1, .flags = 1, .eax = 0xd1},
		{.function = 0x80000001, .ecx = 0x81c, .edx = 0x81d},
		{.function = 0x80000008, .eax = 0x3028, .ebx = 0x88b},
		{.function = 0x8000000a, .ebx = 0x10, .edx = 0x8ad},
	};
	static const struct {
		enum nestmig_cpuid_word word;
		uint32_t value;
	} expected[] = {
		{NESTMIG_CPUID_1_ECX, 0x1c},          {NESTMIG_CPUID_1_EDX, 0x1d},
		{NESTMIG_CPUID_7_0_EBX, 0x7b},        {NESTMIG_CPUID_7_0_ECX, 0x7c},
		{NESTMIG_CPUID_7_0_EDX, 0x7d},        {NESTMIG_CPUID_7_1_EAX, 0x71},
		{NESTMIG_CPUID_A_EAX, 0xaa},          {NESTMIG_CPUID_A_EDX, 0xad},
		{NESTMIG_CPUID_40000001_EAX, 0x41},   {NESTMIG_CPUID_D_1_EAX, 0xd1},
		{NESTMIG_CPUID_80000001_ECX, 0x81c},  {NESTMIG_CPUID_80000001_EDX, 0x81d},
		{NESTMIG_CPUID_80000008_EAX, 0x3028}, {NESTMIG_CPUID_80000008_EBX, 0x88b},
		{NESTMIG_CPUID_8000000A_EBX, 0x10},   {NESTMIG_CPUID_8000000A_EDX, 0x8ad},
		{NESTMIG_CPUID_80000021_EAX, 0},
	};

	must_decode(&vcpu, NM_KVM_CPUID, s, sizeof(s));
	ck_assert_uint_eq(vcpu.cpuid_count, 10);
	ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]), NESTMIG_CPUID_WORDS);
	for (size_t i = 0; i < NESTMIG_CPUID_WORDS; i++)
		ck_assert_msg(vcpu.view.cpuid.word[expected[i].word] == expected[i].value,
			      "word %d", (int)expected[i].word);
	/* The list is complete: what it lacks is zero. */
	ck_assert_uint_eq(vcpu.view.cpuid.have, (1U << NESTMIG_CPUID_WORDS) - 1);
	/* But the width of addresses, which KVM then takes for 36 bits. */
	s[0].eax = 0x80000007;
	must_decode(&vcpu, NM_KVM_CPUID, s, sizeof(s));
	ck_assert_uint_eq(vcpu.view.cpuid.word[NESTMIG_CPUID_80000008_EAX], 36);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode");
	TCase *tcase = tcase_create("decode");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_struct_has_one_size, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(tcase, lists_have_whole_entries_and_a_limit);
	tcase_add_test(tcase, regs);
	tcase_add_test(tcase, sregs2_with_pdptrs);
	tcase_add_test(tcase, sregs2_without_pdptrs_has_none);
	tcase_add_test(tcase, sregs_become_sregs2);
	tcase_add_test(tcase, events);
	tcase_add_test(tcase, a_shadow_that_is_not_valid_is_absent);
	tcase_add_test(tcase, debugregs_and_mp_state);
	tcase_add_test(tcase, msrs);
	tcase_add_test(tcase, msrs_listed);
	tcase_add_test(tcase, nested_svm);
	tcase_add_test(tcase, nested_vmx);
	tcase_add_loop_test(tcase, pages_are_there_if_size_and_file_say_so, 0,
			    sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(tcase, a_nested_header_is_whole);
	tcase_add_test(tcase, what_a_vcpu_lacks_is_not_made);
	tcase_add_test(tcase, cpuid_words);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
