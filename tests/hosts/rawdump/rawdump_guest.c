// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests that are in L2 after one instruction that matters. Sources: APM volume 2, 15.5 "VMRUN
 * Instruction", 15.25 "Nested Paging", appendix B "Layout of VMCB"; chapter 5 "Page Translation and
 * Protection"; chapter 8 "Exceptions and Interrupts"; 10.3 "SMM Resources".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../l1/svm.h"
#include "rawdump.h"

/* Guest physical addresses. The first page is L2's interrupt table where that is in real mode. */
#define ADDRESS_PML4          0x1000
#define ADDRESS_PDPT          0x2000
#define ADDRESS_PD            0x3000
#define ADDRESS_GDT           0x4000
#define ADDRESS_TSS           0x4100
#define ADDRESS_IDT           0x4200
#define ADDRESS_VMCB          0x5000
#define ADDRESS_HSAVE         0x6000
#define ADDRESS_IOPM          0x7000 /* three pages */
#define ADDRESS_MSRPM         0xa000 /* two pages */
#define ADDRESS_LEGACY_PD     0xc000
#define ADDRESS_LEGACY_PT     0xd000
#define ADDRESS_PAE_PDPT      0xe000 /* rawdump_guest_code.S knows it too */
#define ADDRESS_PAE_PD        0xf000
#define ADDRESS_CODE          0x10000
#define ADDRESS_NESTED_PML4   0x12000
#define ADDRESS_NESTED_PDPT   0x13000
#define ADDRESS_NESTED_PD     0x14000
#define ADDRESS_STACK         0x18000 /* its end; rawdump_guest_code.S knows it too */
#define ADDRESS_SMI_HANDLER   0x38000

#define PAGE_PRESENT_WRITE    0x3
#define PAGE_USER             0x4
#define PAGE_LARGE            0x80

#define CR0_PG_WP_NE_ET_MP_PE 0x80010033u
#define CR0_NE_ET             0x30u
#define CR4_OSXMMEXCPT_OSFXSR 0x600u
#define CR4_PAE               0x20u
#define EFER_SVME             0x1000u
#define EFER_LMA_LME          0x500u
#define DR6_RESET             0xffff0ff0u
#define DR7_RESET             0x400u
#define PAT_RESET             0x0007040600070406ull
#define RFLAGS_RESET          0x2u
#define MSR_VM_HSAVE_PA       0xc0010117u
#define CPUID_EXTENDED        0x80000001u
#define CPUID_EXTENDED_EDX_LM (1u << 29)

#define SELECTOR_CODE64       8
#define SELECTOR_DATA         16
#define SELECTOR_TSS          24
#define SELECTOR_CODE32       40
#define TSS_LIMIT             103
#define GDT_LIMIT             47
#define EXCEPTIONS            32
#define EXCEPTION_ENTRY       8 /* bytes between the entries in rawdump_guest_code.S */

extern const uint8_t guest_code[], guest_code_end[], guest_smm[], guest_smm_end[], guest_l1[];
extern const uint8_t guest_l2_64[], guest_l2_32[], guest_l2_16[];
extern const uint8_t guest_plain[], guest_plain_exceptions[];
extern const uint8_t guest_l2_64_exceptions[], guest_l2_32_exceptions[], guest_l2_16_exceptions[];

static uint32_t offset_of(const uint8_t *code)
{
	return (uint32_t)(code - guest_code);
}

static void put64(uint8_t *memory, uint32_t address, uint64_t value)
{
	memcpy(memory + address, &value, sizeof(value));
}

/*
 * QEMU's TCG sets the accessed bit in the entries of PAE's first table, where it is reserved, and KVM
 * then refuses the table. L1 does the same before each VMRUN.
 */
void guest_clean(uint8_t *memory)
{
	put64(memory, ADDRESS_PAE_PDPT, ADDRESS_PAE_PD | 1);
}

static void fill_page_tables(uint8_t *memory)
{
	put64(memory, ADDRESS_PML4, ADDRESS_PDPT | PAGE_PRESENT_WRITE);
	put64(memory, ADDRESS_PDPT, ADDRESS_PD | PAGE_PRESENT_WRITE);
	put64(memory, ADDRESS_PD, PAGE_LARGE | PAGE_PRESENT_WRITE);
	guest_clean(memory);
	put64(memory, ADDRESS_PAE_PD, PAGE_LARGE | PAGE_PRESENT_WRITE);
	/* The walk of nested tables counts as a user's access. */
	put64(memory, ADDRESS_NESTED_PML4, ADDRESS_NESTED_PDPT | PAGE_USER | PAGE_PRESENT_WRITE);
	put64(memory, ADDRESS_NESTED_PDPT, ADDRESS_NESTED_PD | PAGE_USER | PAGE_PRESENT_WRITE);
	put64(memory, ADDRESS_NESTED_PD, PAGE_LARGE | PAGE_USER | PAGE_PRESENT_WRITE);
	for (uint32_t page = 0; page < 1024; page++) {
		uint32_t entry = page << 12 | PAGE_PRESENT_WRITE;

		memcpy(memory + ADDRESS_LEGACY_PT + page * 4, &entry, sizeof(entry));
	}
	put64(memory, ADDRESS_LEGACY_PD, ADDRESS_LEGACY_PT | PAGE_PRESENT_WRITE);
}

static void fill_descriptors(uint8_t *memory)
{
	uint64_t gdt[] = {
		0,
		0x00af9b000000ffff,
		0x00cf93000000ffff,
		TSS_LIMIT | (uint64_t)ADDRESS_TSS << 16 | 0x8bull << 40,
		0,
		0x00cf9b000000ffff,
	};

	_Static_assert(sizeof(gdt) == GDT_LIMIT + 1, "GDT");
	memcpy(memory + ADDRESS_GDT, gdt, sizeof(gdt));
}

/* L2's interrupt gates, in the form of its mode. */
static void fill_idt(uint8_t *memory, const struct guest *guest)
{
	const uint8_t *exceptions_32 =
		guest->plain ? guest_plain_exceptions : guest_l2_32_exceptions;

	for (uint32_t vector = 0; vector < EXCEPTIONS; vector++) {
		uint32_t entry = vector * EXCEPTION_ENTRY, target;

		switch (guest->mode) {
		case L2_LONG:
			target = ADDRESS_CODE + offset_of(guest_l2_64_exceptions) + entry;
			put64(memory, ADDRESS_IDT + vector * 16,
			      (target & 0xffff) | SELECTOR_CODE64 << 16 | 0x8e00ull << 32 |
				      (uint64_t)(target >> 16) << 48);
			break;
		case L2_REAL:
			target = offset_of(guest_l2_16_exceptions) + entry;
			target |= ADDRESS_CODE >> 4 << 16;
			memcpy(memory + vector * 4, &target, sizeof(target));
			break;
		default:
			target = ADDRESS_CODE + offset_of(exceptions_32) + entry;
			put64(memory, ADDRESS_IDT + vector * 8,
			      (target & 0xffff) | SELECTOR_CODE32 << 16 | 0x8e00ull << 32 |
				      (uint64_t)(target >> 16) << 48);
		}
	}
}

static void fill_memory(uint8_t *memory, const struct guest *guest)
{
	fill_page_tables(memory);
	fill_descriptors(memory);
	fill_idt(memory, guest);
	memcpy(memory + ADDRESS_CODE, guest_code, (size_t)(guest_code_end - guest_code));
	memcpy(memory + ADDRESS_SMI_HANDLER, guest_smm, (size_t)(guest_smm_end - guest_smm));
}

static void fill_l2(struct vmcb *vmcb, enum l2_mode mode)
{
	struct vmcb_segment data = {SELECTOR_DATA, ATTRIB_DATA, 0xffffffff, 0};

	vmcb->es = vmcb->ss = vmcb->ds = data;
	vmcb->tr = (struct vmcb_segment){SELECTOR_TSS, ATTRIB_TSS64, TSS_LIMIT, ADDRESS_TSS};
	vmcb->gdtr = (struct vmcb_segment){0, 0, GDT_LIMIT, ADDRESS_GDT};
	vmcb->efer = EFER_SVME;
	vmcb->cr0 = CR0_PG_WP_NE_ET_MP_PE;
	vmcb->cr4 = CR4_OSXMMEXCPT_OSFXSR;
	vmcb->rsp = ADDRESS_STACK;
	if (mode == L2_LONG) {
		vmcb->cs = (struct vmcb_segment){SELECTOR_CODE64, ATTRIB_CODE64, 0xffffffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 16 - 1, ADDRESS_IDT};
		vmcb->efer |= EFER_LMA_LME;
		vmcb->cr3 = ADDRESS_PML4;
		vmcb->cr4 |= CR4_PAE;
		vmcb->rip = ADDRESS_CODE + offset_of(guest_l2_64);
	} else if (mode == L2_REAL) {
		vmcb->cs = (struct vmcb_segment){ADDRESS_CODE >> 4, ATTRIB_CODE16, 0xffff,
						 ADDRESS_CODE};
		vmcb->ss = (struct vmcb_segment){ADDRESS_CODE >> 4, ATTRIB_DATA16, 0xffff,
						 ADDRESS_CODE};
		vmcb->es = vmcb->ds = (struct vmcb_segment){0, ATTRIB_DATA16, 0xffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 4 - 1, 0};
		vmcb->cr0 = CR0_NE_ET;
		vmcb->rsp = ADDRESS_STACK - ADDRESS_CODE;
		vmcb->rip = offset_of(guest_l2_16);
	} else {
		vmcb->cs = (struct vmcb_segment){SELECTOR_CODE32, ATTRIB_CODE32, 0xffffffff, 0};
		vmcb->idtr = (struct vmcb_segment){0, 0, EXCEPTIONS * 8 - 1, ADDRESS_IDT};
		vmcb->cr3 = mode == L2_PAE ? ADDRESS_PAE_PDPT : ADDRESS_LEGACY_PD;
		vmcb->cr4 |= mode == L2_PAE ? CR4_PAE : 0;
		vmcb->rip = ADDRESS_CODE + offset_of(guest_l2_32);
	}
}

static void fill_vmcb(struct vmcb *vmcb, const struct guest *guest)
{
	memset(vmcb, 0, sizeof(*vmcb));
	vmcb->intercept3 = INTERCEPT3_CPUID | INTERCEPT3_HLT;
	if (!guest->shutdown_not_intercepted)
		vmcb->intercept3 |= INTERCEPT3_SHUTDOWN;
	vmcb->intercept4 = INTERCEPT4_VMRUN | INTERCEPT4_VMMCALL;
	vmcb->iopm_base_pa = ADDRESS_IOPM;
	vmcb->msrpm_base_pa = ADDRESS_MSRPM;
	vmcb->asid = 1;
	if (guest->nested_paging) {
		vmcb->nested_ctl = 1;
		vmcb->nested_cr3 = ADDRESS_NESTED_PML4;
	}
	fill_l2(vmcb, guest->mode);
	vmcb->dr6 = DR6_RESET;
	vmcb->dr7 = DR7_RESET;
	vmcb->g_pat = PAT_RESET;
	vmcb->rflags = RFLAGS_RESET;
}

static void fill_sregs(struct kvm_sregs *sregs)
{
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = SELECTOR_DATA,
		.type = 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	sregs->ds = sregs->es = sregs->ss = data;
	/* Not used by 64-bit code; null as a system leaves them. */
	memset(&sregs->fs, 0, sizeof(sregs->fs));
	sregs->fs.unusable = 1;
	sregs->gs = sregs->ldt = sregs->fs;
	sregs->cs = data;
	sregs->cs.selector = SELECTOR_CODE64;
	sregs->cs.type = 11;
	sregs->cs.db = 0;
	sregs->cs.l = 1;
	sregs->tr = (struct kvm_segment){
		.base = ADDRESS_TSS,
		.limit = TSS_LIMIT,
		.selector = SELECTOR_TSS,
		.type = 11,
		.present = 1,
	};
	sregs->gdt.base = ADDRESS_GDT;
	sregs->gdt.limit = GDT_LIMIT;
	memset(&sregs->idt, 0, sizeof(sregs->idt));
	sregs->cr0 = CR0_PG_WP_NE_ET_MP_PE;
	sregs->cr3 = ADDRESS_PML4;
	sregs->cr4 = CR4_OSXMMEXCPT_OSFXSR | CR4_PAE;
	sregs->efer = EFER_SVME | EFER_LMA_LME;
}

/* L1 without an L2 is what L2_LEGACY would be, with SVM off. */
static void fill_plain_sregs(struct kvm_sregs *sregs)
{
	sregs->cs.selector = SELECTOR_CODE32;
	sregs->cs.db = 1;
	sregs->cs.l = 0;
	sregs->idt.base = ADDRESS_IDT;
	sregs->idt.limit = EXCEPTIONS * 8 - 1;
	sregs->cr3 = ADDRESS_LEGACY_PD;
	sregs->cr4 = CR4_OSXMMEXCPT_OSFXSR;
	sregs->efer = 0;
}

static void remove_long_mode(struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == CPUID_EXTENDED)
			cpuid->entries[i].edx &= ~CPUID_EXTENDED_EDX_LM;
	}
}

static int set_hsave(const struct vm *vm)
{
	struct one_msr msr = {
		.count = 1,
		.entry = {.index = MSR_VM_HSAVE_PA, .data = ADDRESS_HSAVE},
	};

	if (ioctl(vm->vcpu_fd, KVM_SET_MSRS, &msr) == 1)
		return 0;
	fprintf(stderr, "rawdump: KVM takes no VM_HSAVE_PA: is kvm_amd loaded with nested=1?\n");
	return -1;
}

static int set_registers(const struct vm *vm, bool plain)
{
	struct kvm_regs regs = {
		.rip = ADDRESS_CODE + offset_of(plain ? guest_plain : guest_l1),
		.rflags = RFLAGS_RESET,
		.rax = ADDRESS_VMCB,
		.rsp = plain ? ADDRESS_STACK : 0,
	};
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs)) {
		perror("rawdump: KVM_GET_SREGS");
		return -1;
	}
	fill_sregs(&sregs);
	if (plain)
		fill_plain_sregs(&sregs);
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs)) {
		perror("rawdump: KVM_SET_SREGS with EFER.SVME");
		return -1;
	}
	if (ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs)) {
		perror("rawdump: KVM_SET_REGS");
		return -1;
	}
	return 0;
}

int guest_load(struct vm *vm, const struct guest *guest)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid_new(vm->kvm_fd);
	int set;

	if (!cpuid)
		return -1;
	if (guest->plain)
		remove_long_mode(cpuid);
	set = ioctl(vm->vcpu_fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	if (set) {
		perror("rawdump: KVM_SET_CPUID2");
		return -1;
	}
	fill_memory(vm->memory, guest);
	fill_vmcb((struct vmcb *)(vm->memory + ADDRESS_VMCB), guest);
	if (set_hsave(vm))
		return -1;
	return set_registers(vm, guest->plain);
}
