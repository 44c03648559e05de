// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that is in L2 after one instruction that matters. Sources: APM volume 2, 15.5 "VMRUN
 * Instruction" and appendix B "Layout of VMCB"; 5.3 "Long-Mode Page Translation".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../l1/svm.h"
#include "rawdump.h"

#define ADDRESS_PML4              0x1000
#define ADDRESS_PDPT              0x2000
#define ADDRESS_PD                0x3000
#define ADDRESS_GDT               0x4000
#define ADDRESS_TSS               0x4100
#define ADDRESS_VMCB              0x5000
#define ADDRESS_HSAVE             0x6000
#define ADDRESS_IOPM              0x7000 /* three pages */
#define ADDRESS_MSRPM             0xa000 /* two pages */
#define ADDRESS_CODE              0x10000

#define CR0_PG_WP_NE_ET_MP_PE     0x80010033u
#define CR4_OSXMMEXCPT_OSFXSR_PAE 0x620u
#define EFER_SVME_LMA_LME         0x1500u
#define DR6_RESET                 0xffff0ff0u
#define DR7_RESET                 0x400u
#define PAT_RESET                 0x0007040600070406ull
#define RFLAGS_RESET              0x2u
#define MSR_VM_HSAVE_PA           0xc0010117u

#define SELECTOR_CODE             8
#define SELECTOR_DATA             16
#define SELECTOR_TSS              24
#define TSS_LIMIT                 103
#define GDT_LIMIT                 39

extern const uint8_t guest_l1_code[], guest_l2_code[], guest_code_end[];

static void fill_tables(uint8_t *memory)
{
	uint64_t pml4 = ADDRESS_PDPT | 3, pdpt = ADDRESS_PD | 3, pd = 0x83;
	uint64_t gdt[] = {
		0,
		0x00af9b000000ffff,
		0x00cf93000000ffff,
		TSS_LIMIT | (uint64_t)ADDRESS_TSS << 16 | 0x8bull << 40,
		0,
	};

	memcpy(memory + ADDRESS_PML4, &pml4, sizeof(pml4));
	memcpy(memory + ADDRESS_PDPT, &pdpt, sizeof(pdpt));
	memcpy(memory + ADDRESS_PD, &pd, sizeof(pd));
	memcpy(memory + ADDRESS_GDT, gdt, sizeof(gdt));
	memcpy(memory + ADDRESS_CODE, guest_l1_code, (size_t)(guest_code_end - guest_l1_code));
}

static void fill_vmcb(struct vmcb *vmcb)
{
	struct vmcb_segment data = {SELECTOR_DATA, ATTRIB_DATA, 0xffffffff, 0};

	memset(vmcb, 0, sizeof(*vmcb));
	vmcb->intercept3 = INTERCEPT3_CPUID | INTERCEPT3_HLT | INTERCEPT3_SHUTDOWN;
	vmcb->intercept4 = INTERCEPT4_VMRUN;
	vmcb->iopm_base_pa = ADDRESS_IOPM;
	vmcb->msrpm_base_pa = ADDRESS_MSRPM;
	vmcb->asid = 1;
	vmcb->es = vmcb->ss = vmcb->ds = data;
	vmcb->cs = (struct vmcb_segment){SELECTOR_CODE, ATTRIB_CODE64, 0xffffffff, 0};
	vmcb->tr = (struct vmcb_segment){SELECTOR_TSS, ATTRIB_TSS64, TSS_LIMIT, ADDRESS_TSS};
	vmcb->gdtr = (struct vmcb_segment){0, 0, GDT_LIMIT, ADDRESS_GDT};
	vmcb->efer = EFER_SVME_LMA_LME;
	vmcb->cr0 = CR0_PG_WP_NE_ET_MP_PE;
	vmcb->cr3 = ADDRESS_PML4;
	vmcb->cr4 = CR4_OSXMMEXCPT_OSFXSR_PAE;
	vmcb->dr6 = DR6_RESET;
	vmcb->dr7 = DR7_RESET;
	vmcb->g_pat = PAT_RESET;
	vmcb->rflags = RFLAGS_RESET;
	vmcb->rip = ADDRESS_CODE + (uint64_t)(guest_l2_code - guest_l1_code);
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
	sregs->cs.selector = SELECTOR_CODE;
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
	sregs->cr4 = CR4_OSXMMEXCPT_OSFXSR_PAE;
	sregs->efer = EFER_SVME_LMA_LME;
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

static int set_registers(const struct vm *vm)
{
	struct kvm_regs regs = {
		.rip = ADDRESS_CODE,
		.rflags = RFLAGS_RESET,
		.rax = ADDRESS_VMCB,
	};
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs)) {
		perror("rawdump: KVM_GET_SREGS");
		return -1;
	}
	fill_sregs(&sregs);
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

int guest_load(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid_new(vm->kvm_fd);
	int set;

	if (!cpuid)
		return -1;
	set = ioctl(vm->vcpu_fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	if (set) {
		perror("rawdump: KVM_SET_CPUID2");
		return -1;
	}
	fill_tables(vm->memory);
	fill_vmcb((struct vmcb *)(vm->memory + ADDRESS_VMCB));
	if (set_hsave(vm))
		return -1;
	return set_registers(vm);
}
