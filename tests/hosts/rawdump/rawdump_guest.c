// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests that are in L2 after one instruction that matters: what both vendors share. Sources: APM
 * volume 2, chapter 5 "Page Translation and Protection"; chapter 8 "Exceptions and Interrupts"; 10.3
 * "SMM Resources"; SDM volume 3, 21.5 "Task-State Segment" of virtual-8086 mode.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "rawdump_guest.h"

#define CPUID_EXTENDED        0x80000001u
#define CPUID_EXTENDED_EDX_LM (1u << 29)
#define EXCEPTION_ENTRY       8 /* bytes between the entries in rawdump_guest_code.S */

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

/*
 * Virtual-8086 mode runs at privilege level 3, sends exceptions to level 0 and asks the TSS for every
 * port: all ports that the guest knows are free.
 */
static void fill_vm86(uint8_t *memory)
{
	const uint32_t stack = ADDRESS_STACK;
	const uint16_t ports = TSS_LIMIT + 1;

	memcpy(memory + ADDRESS_TSS + 4, &stack, sizeof(stack));
	memory[ADDRESS_TSS + 8] = SELECTOR_DATA;
	memcpy(memory + ADDRESS_TSS + TSS_LIMIT - 1, &ports, sizeof(ports));
	memory[ADDRESS_TSS + TSS_LIMIT_PORTS] = 0xff;
	for (uint32_t page = 0; page < 1024; page++)
		memory[ADDRESS_LEGACY_PT + page * 4] |= PAGE_USER;
	memory[ADDRESS_LEGACY_PD] |= PAGE_USER;
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

static uint64_t gate(uint32_t target, uint16_t selector)
{
	return (target & 0xffff) | (uint32_t)selector << 16 | 0x8e00ull << 32 |
	       (uint64_t)(target >> 16) << 48;
}

/* L2's interrupt gates, in the form of its mode. */
static void fill_idt(uint8_t *memory, const struct guest *guest,
		     const struct guest_entries *entries)
{
	const uint8_t *exceptions_32 =
		guest->plain ? guest_plain_exceptions : entries->exceptions_32;

	for (uint32_t vector = 0; vector < EXCEPTIONS; vector++) {
		uint32_t entry = ADDRESS_CODE + vector * EXCEPTION_ENTRY, target;

		switch (guest->mode) {
		case L2_LONG:
			put64(memory, ADDRESS_IDT + vector * 16,
			      gate(entry + offset_of(entries->exceptions_64), SELECTOR_CODE64));
			break;
		case L2_REAL:
			target = offset_of(entries->exceptions_16) + vector * EXCEPTION_ENTRY;
			target |= ADDRESS_CODE >> 4 << 16;
			memcpy(memory + vector * 4, &target, sizeof(target));
			break;
		default:
			put64(memory, ADDRESS_IDT + vector * 8,
			      gate(entry + offset_of(exceptions_32), SELECTOR_CODE32));
		}
	}
}

static void fill_memory(uint8_t *memory, const struct guest *guest,
			const struct guest_entries *entries)
{
	fill_page_tables(memory);
	fill_descriptors(memory);
	fill_idt(memory, guest, entries);
	if (guest->mode == L2_VM86)
		fill_vm86(memory);
	memcpy(memory + ADDRESS_CODE, guest_code, (size_t)(guest_code_end - guest_code));
	memcpy(memory + ADDRESS_SMI_HANDLER, guest_smm, (size_t)(guest_smm_end - guest_smm));
}

static void fill_sregs(struct kvm_sregs *sregs, const struct guest_vendor *vendor)
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
	sregs->cr4 = CR4_OSXMMEXCPT_OSFXSR | CR4_PAE | vendor->l1_cr4;
	sregs->efer = EFER_LMA_LME | vendor->l1_efer;
}

/* L1 without an L2 is what L2_LEGACY would be, with SVM or VMX off. */
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

int guest_set_msr(const struct vm *vm, uint32_t index, uint64_t value, const char *name)
{
	struct one_msr msr = {.count = 1, .entry = {.index = index, .data = value}};

	if (ioctl(vm->vcpu_fd, KVM_SET_MSRS, &msr) == 1)
		return 0;
	fprintf(stderr, "rawdump: KVM takes no %s: is it loaded with nested=1?\n", name);
	return -1;
}

static int set_registers(const struct vm *vm, const struct guest_vendor *vendor, bool plain)
{
	const uint8_t *start = plain ? guest_plain : vendor->entries->l1;
	struct kvm_regs regs = {
		.rip = ADDRESS_CODE + offset_of(start),
		.rflags = RFLAGS_RESET,
		.rax = vendor->l1_rax,
		.rsp = plain ? ADDRESS_STACK : 0,
	};
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs)) {
		perror("rawdump: KVM_GET_SREGS");
		return -1;
	}
	fill_sregs(&sregs, vendor);
	if (plain)
		fill_plain_sregs(&sregs);
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs)) {
		perror("rawdump: KVM_SET_SREGS, with what lets L1 start");
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
	const struct guest_vendor *vendor = host_vendor() == VENDOR_INTEL ? &vmx_guest : &svm_guest;
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
	fill_memory(vm->memory, guest, vendor->entries);
	if (vendor->prepare(vm, guest))
		return -1;
	return set_registers(vm, vendor, guest->plain);
}
