// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L1 and L2 of Intel's vendor: what L1 is to write into its VMCS, and the pages that it names.
 * Sources: SDM volume 3, 25 "Virtual Machine Control Structures", 27 "VM Entries", 29.3 "The Extended
 * Page Table Mechanism", 25.5.6 "VM-Function Controls".
 */
#include <stdio.h>

#include "rawdump_vmx.h"

#define CR4_VMXE            0x2000u
#define RFLAGS_VM_IOPL3     0x23000u
#define FEATURE_CONTROL_VMX 5u /* locked; VMXON allowed outside SMX */
#define SHADOW_VMCS         0x80000000u
#define NO_LINK             UINT64_MAX
#define TSC_MULTIPLIER_ONE  (1ull << 48)
#define POSTED_VECTOR       0xf2
#define LAST_PML_INDEX      511
#define L1_STACK            (ADDRESS_STACK - 0x800)

#define RIGHTS_CODE64       0xa09b
#define RIGHTS_CODE32       0xc09b
#define RIGHTS_CODE16       0x009b
#define RIGHTS_DATA         0xc093
#define RIGHTS_DATA16       0x0093
#define RIGHTS_VM86         0x00f3
#define RIGHTS_TSS          0x008b
#define RIGHTS_UNUSABLE     0x10000

extern const uint8_t guest_vmx_l1[], guest_vmx_exit[], guest_vmx_eptp[];
extern const uint8_t guest_vmx_l2_64[], guest_vmx_l2_32[], guest_vmx_l2_16[];
extern const uint8_t guest_vmx_l2_64_exceptions[], guest_vmx_l2_32_exceptions[];
extern const uint8_t guest_vmx_l2_16_exceptions[];

enum segment { ES, CS, SS, DS, FS, GS, LDTR, TR };

/* What L1 is to VMWRITE, as it grows in memory. */
struct writes {
	uint8_t *at;
};

static void put(struct writes *writes, enum vmcs_field field, uint64_t value)
{
	const uint64_t pair[] = {field, value};

	memcpy(writes->at, pair, sizeof(pair));
	writes->at += sizeof(pair);
}

static void put_segment(struct writes *writes, enum segment segment, uint16_t selector,
			uint32_t base, uint32_t limit, uint32_t rights)
{
	put(writes, VMCS_GUEST_ES + 2 * segment, selector);
	put(writes, VMCS_GUEST_ES_BASE + 2 * segment, base);
	put(writes, VMCS_GUEST_ES_LIMIT + 2 * segment, limit);
	put(writes, VMCS_GUEST_ES_RIGHTS + 2 * segment, rights);
}

static void put_system_tables(struct writes *writes, uint32_t tss_limit, uint32_t idt,
			      uint32_t idt_limit)
{
	put_segment(writes, LDTR, 0, 0, 0, RIGHTS_UNUSABLE);
	put_segment(writes, TR, SELECTOR_TSS, ADDRESS_TSS, tss_limit, RIGHTS_TSS);
	put(writes, VMCS_GUEST_GDTR_BASE, ADDRESS_GDT);
	put(writes, VMCS_GUEST_GDTR_LIMIT, GDT_LIMIT);
	put(writes, VMCS_GUEST_IDTR_BASE, idt);
	put(writes, VMCS_GUEST_IDTR_LIMIT, idt_limit);
}

static void put_start(struct writes *writes, uint64_t rip, uint64_t rsp, uint64_t rflags)
{
	put(writes, VMCS_GUEST_RIP, rip);
	put(writes, VMCS_GUEST_RSP, rsp);
	put(writes, VMCS_GUEST_RFLAGS, rflags);
}

static void put_flat_segments(struct writes *writes, bool wide)
{
	put_segment(writes, CS, wide ? SELECTOR_CODE64 : SELECTOR_CODE32, 0, UINT32_MAX,
		    wide ? RIGHTS_CODE64 : RIGHTS_CODE32);
	put_segment(writes, ES, SELECTOR_DATA, 0, UINT32_MAX, RIGHTS_DATA);
	put_segment(writes, SS, SELECTOR_DATA, 0, UINT32_MAX, RIGHTS_DATA);
	put_segment(writes, DS, SELECTOR_DATA, 0, UINT32_MAX, RIGHTS_DATA);
	put_segment(writes, FS, 0, 0, 0, RIGHTS_UNUSABLE);
	put_segment(writes, GS, 0, 0, 0, RIGHTS_UNUSABLE);
}

static void put_16bit_segments(struct writes *writes, uint32_t code_rights, uint32_t data_rights)
{
	uint16_t code = ADDRESS_CODE >> 4;

	put_segment(writes, CS, code, ADDRESS_CODE, 0xffff, code_rights);
	put_segment(writes, SS, code, ADDRESS_CODE, 0xffff, data_rights);
	put_segment(writes, ES, 0, 0, 0xffff, data_rights);
	put_segment(writes, DS, 0, 0, 0xffff, data_rights);
	put_segment(writes, FS, 0, 0, 0xffff, data_rights);
	put_segment(writes, GS, 0, 0, 0xffff, data_rights);
}

static void put_l2_mode(struct writes *writes, const struct guest *guest)
{
	const uint8_t *start_64 = guest->extra == VMX_EPTP_LIST ? guest_vmx_eptp : guest_vmx_l2_64;
	uint32_t idt_limit = EXCEPTIONS * 8 - 1;

	switch (guest->mode) {
	case L2_LONG:
		put_flat_segments(writes, true);
		put_system_tables(writes, TSS_LIMIT, ADDRESS_IDT, EXCEPTIONS * 16 - 1);
		put_start(writes, ADDRESS_CODE + offset_of(start_64), ADDRESS_STACK, RFLAGS_RESET);
		return;
	case L2_REAL:
		put_16bit_segments(writes, RIGHTS_CODE16, RIGHTS_DATA16);
		put_system_tables(writes, TSS_LIMIT, 0, EXCEPTIONS * 4 - 1);
		put_start(writes, offset_of(guest_vmx_l2_16), ADDRESS_STACK - ADDRESS_CODE,
			  RFLAGS_RESET);
		return;
	case L2_VM86:
		put_16bit_segments(writes, RIGHTS_VM86, RIGHTS_VM86);
		put_system_tables(writes, TSS_LIMIT_PORTS, ADDRESS_IDT, idt_limit);
		put_start(writes, offset_of(guest_vmx_l2_16), ADDRESS_STACK - ADDRESS_CODE,
			  RFLAGS_RESET | RFLAGS_VM_IOPL3);
		return;
	default:
		put_flat_segments(writes, false);
		put_system_tables(writes, TSS_LIMIT, ADDRESS_IDT, idt_limit);
		put_start(writes, ADDRESS_CODE + offset_of(guest_vmx_l2_32), ADDRESS_STACK,
			  RFLAGS_RESET);
	}
}

static void put_l2_control_registers(struct writes *writes, enum l2_mode mode)
{
	bool pae = mode == L2_LONG || mode == L2_PAE;
	uint64_t cr3 = ADDRESS_LEGACY_PD;

	if (mode == L2_LONG)
		cr3 = ADDRESS_PML4;
	else if (mode == L2_PAE)
		cr3 = ADDRESS_PAE_PDPT;
	put(writes, VMCS_GUEST_CR0, mode == L2_REAL ? CR0_NE_ET : CR0_PG_WP_NE_ET_MP_PE);
	put(writes, VMCS_GUEST_CR3, mode == L2_REAL ? 0 : cr3);
	put(writes, VMCS_GUEST_CR4, CR4_OSXMMEXCPT_OSFXSR | CR4_VMXE | (pae ? CR4_PAE : 0));
	/* L2 is not to see that VMX is on. */
	put(writes, VMCS_CR4_MASK, CR4_VMXE);
	put(writes, VMCS_CR4_SHADOW, CR4_OSXMMEXCPT_OSFXSR | (pae ? CR4_PAE : 0));
	/* Used with EPT only. */
	put(writes, VMCS_GUEST_PDPTE0, mode == L2_PAE ? ADDRESS_PAE_PD | 1 : 0);
	put(writes, VMCS_GUEST_EFER, mode == L2_LONG ? EFER_LMA_LME : 0);
	put(writes, VMCS_GUEST_PAT, PAT_RESET);
	put(writes, VMCS_GUEST_DR7, DR7_RESET);
}

static void put_l1(struct writes *writes)
{
	put(writes, VMCS_HOST_CS, SELECTOR_CODE64);
	put(writes, VMCS_HOST_SS, SELECTOR_DATA);
	put(writes, VMCS_HOST_DS, SELECTOR_DATA);
	put(writes, VMCS_HOST_ES, SELECTOR_DATA);
	put(writes, VMCS_HOST_TR, SELECTOR_TSS);
	put(writes, VMCS_HOST_TR_BASE, ADDRESS_TSS);
	put(writes, VMCS_HOST_GDTR_BASE, ADDRESS_GDT);
	put(writes, VMCS_HOST_IDTR_BASE, ADDRESS_NO_IDT);
	put(writes, VMCS_HOST_CR0, CR0_PG_WP_NE_ET_MP_PE);
	put(writes, VMCS_HOST_CR3, ADDRESS_PML4);
	put(writes, VMCS_HOST_CR4, CR4_OSXMMEXCPT_OSFXSR | CR4_PAE | CR4_VMXE);
	put(writes, VMCS_HOST_EFER, EFER_LMA_LME);
	put(writes, VMCS_HOST_PAT, PAT_RESET);
	put(writes, VMCS_HOST_RSP, L1_STACK);
	put(writes, VMCS_HOST_RIP, ADDRESS_CODE + offset_of(guest_vmx_exit));
}

static void put_controls(struct writes *writes, const struct vmx_controls *controls)
{
	put(writes, VMCS_PIN, controls->pin);
	put(writes, VMCS_PROC, controls->proc);
	put(writes, VMCS_PROC2, controls->proc2);
	put(writes, VMCS_EXIT, controls->exit);
	put(writes, VMCS_ENTRY, controls->entry);
	put(writes, VMCS_MSR_BITMAP, ADDRESS_MSR_BITMAP);
	put(writes, VMCS_LINK_POINTER, NO_LINK);
	if (controls->eptp)
		put(writes, VMCS_EPTP, controls->eptp);
	if (controls->proc & PROC_TPR_SHADOW)
		put(writes, VMCS_VIRTUAL_APIC, ADDRESS_VIRTUAL_APIC);
	if (controls->proc2 & PROC2_APIC_ACCESSES)
		put(writes, VMCS_APIC_ACCESS, ADDRESS_APIC_ACCESS);
	if (controls->proc2 & PROC2_VMFUNC && controls->vmfunc) {
		put(writes, VMCS_VMFUNC_CONTROLS, VMFUNC_EPTP_SWITCHING);
		put(writes, VMCS_EPTP_LIST, ADDRESS_EPTP_LIST);
	}
}

/* The fields of all the other controls. */
static void put_full(struct writes *writes)
{
	put(writes, VMCS_VPID, 1);
	put(writes, VMCS_IO_BITMAP_A, ADDRESS_IO_BITMAPS);
	put(writes, VMCS_IO_BITMAP_B, ADDRESS_IO_BITMAPS + 0x1000);
	put(writes, VMCS_POSTED_VECTOR, POSTED_VECTOR);
	put(writes, VMCS_POSTED_DESCRIPTOR, ADDRESS_POSTED);
	put(writes, VMCS_PML, ADDRESS_PML);
	put(writes, VMCS_GUEST_PML_INDEX, LAST_PML_INDEX);
	put(writes, VMCS_VMREAD_BITMAP, ADDRESS_VMREAD_BITMAP);
	put(writes, VMCS_VMWRITE_BITMAP, ADDRESS_VMWRITE_BITMAP);
	put(writes, VMCS_LINK_POINTER, ADDRESS_SHADOW_VMCS);
	put(writes, VMCS_TSC_MULTIPLIER, TSC_MULTIPLIER_ONE);
	put(writes, VMCS_PREEMPTION_TIMER, UINT32_MAX);
}

static void put_msr_lists(struct writes *writes, uint8_t *memory)
{
	/* KERNEL_GS_BASE, STAR, LSTAR: nobody here uses them */
	static const uint64_t msrs[MSR_LIST_LENGTH] = {0xc0000102, 0xc0000081, 0xc0000082};

	for (uint32_t i = 0; i < MSR_LIST_LENGTH; i++) {
		put64(memory, ADDRESS_ENTRY_LOAD + i * 16, msrs[i]);
		put64(memory, ADDRESS_ENTRY_LOAD + i * 16 + 8, 0x1000 + i);
		put64(memory, ADDRESS_EXIT_STORE + i * 16, msrs[i]);
		put64(memory, ADDRESS_EXIT_LOAD + i * 16, msrs[i]);
		put64(memory, ADDRESS_EXIT_LOAD + i * 16 + 8, 0x2000 + i);
	}
	put(writes, VMCS_ENTRY_LOAD, ADDRESS_ENTRY_LOAD);
	put(writes, VMCS_EXIT_STORE, ADDRESS_EXIT_STORE);
	put(writes, VMCS_EXIT_LOAD, ADDRESS_EXIT_LOAD);
	put(writes, VMCS_ENTRY_LOAD_COUNT, MSR_LIST_LENGTH);
	put(writes, VMCS_EXIT_STORE_COUNT, MSR_LIST_LENGTH);
	put(writes, VMCS_EXIT_LOAD_COUNT, MSR_LIST_LENGTH);
}

/* The first two lead to the same memory by two roots, the last is good too; what is between is not. */
static void fill_eptp_list(uint8_t *memory, uint64_t eptp)
{
	uint64_t second = (eptp & 0xfff) | ADDRESS_SECOND_EPT;

	put64(memory, ADDRESS_EPTP_LIST, eptp);
	put64(memory, ADDRESS_EPTP_LIST + 8, second);
	put64(memory, ADDRESS_EPTP_LIST + 16, ADDRESS_SECOND_EPT); /* uncached, walk of one table */
	put64(memory, ADDRESS_EPTP_LIST + 511 * 8, eptp);
	put64(memory, ADDRESS_SECOND_EPT, ADDRESS_NESTED_PDPT | EPT_ALL);
}

/* Instead of the tables for AMD's nested paging. */
static void fill_ept(uint8_t *memory)
{
	put64(memory, ADDRESS_NESTED_PML4, ADDRESS_NESTED_PDPT | EPT_ALL);
	put64(memory, ADDRESS_NESTED_PDPT, ADDRESS_NESTED_PD | EPT_ALL);
	put64(memory, ADDRESS_NESTED_PD, EPT_LEAF);
}

static void fill_vmx(uint8_t *memory, const struct guest *guest,
		     const struct vmx_controls *controls, uint32_t revision)
{
	struct writes writes = {memory + ADDRESS_WRITES};

	fill_ept(memory);
	put64(memory, ADDRESS_OPERANDS, ADDRESS_VMXON);
	put64(memory, ADDRESS_OPERANDS + 8, ADDRESS_VMCS);
	put64(memory, ADDRESS_VMXON, revision);
	put64(memory, ADDRESS_VMCS, revision);
	put_controls(&writes, controls);
	put_l2_mode(&writes, guest);
	put_l2_control_registers(&writes, guest->mode);
	put_l1(&writes);
	if (guest->extra == VMX_EPTP_LIST || guest->extra == VMX_FULL)
		fill_eptp_list(memory, controls->eptp);
	if (guest->extra == VMX_FULL) {
		put64(memory, ADDRESS_SHADOW_VMCS, revision | SHADOW_VMCS);
		put_full(&writes);
	}
	if (guest->extra == VMX_MSR_LISTS || guest->extra == VMX_FULL)
		put_msr_lists(&writes, memory);
	memset(writes.at, 0xff, sizeof(uint64_t)); /* the end for L1 */
}

static int prepare(const struct vm *vm, const struct guest *guest)
{
	struct vmx_controls controls;
	struct vmx_msrs msrs;

	/* Without long mode there is no L1. */
	if (guest->plain)
		return 0;
	if (guest_set_msr(vm, MSR_FEATURE_CONTROL, FEATURE_CONTROL_VMX, "IA32_FEATURE_CONTROL") ||
	    vmx_msrs_read(vm->vcpu_fd, &msrs))
		return -1;
	if (vmx_controls_choose(&msrs, guest, &controls)) {
		fprintf(stderr, "rawdump: this vCPU does not have what the guest needs\n");
		return -1;
	}
	fill_vmx(vm->memory, guest, &controls, (uint32_t)msrs.values[0]);
	return 0;
}

static const struct guest_entries entries = {
	.l1 = guest_vmx_l1,
	.l2_64 = guest_vmx_l2_64,
	.l2_32 = guest_vmx_l2_32,
	.l2_16 = guest_vmx_l2_16,
	.exceptions_64 = guest_vmx_l2_64_exceptions,
	.exceptions_32 = guest_vmx_l2_32_exceptions,
	.exceptions_16 = guest_vmx_l2_16_exceptions,
};

const struct guest_vendor vmx_guest = {
	.entries = &entries,
	.l1_cr4 = CR4_VMXE,
	.prepare = prepare,
};
