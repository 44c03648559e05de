// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L1 on AMD.
 *
 * Sources: APM volume 2, 15.4 "Enabling SVM", 15.5 "VMRUN Instruction",
 * 15.30.4 "VM_HSAVE_PA MSR"; volume 3, "CPUID Fn8000_0001_ECX" (SVM).
 */
#include "l1.h"
#include "svm.h"

#define MSR_EFER                0xc0000080u
#define MSR_PAT                 0x277u
#define MSR_VM_HSAVE_PA         0xc0010117u
#define EFER_SVME               (1u << 12)
#define CPUID_8000_0001_ECX_SVM (1u << 2)

/* SMBASE after a reset, and where its handler starts in it: APM volume 2, 10.3.2 "SMBASE Register". */
#define SMM_ENTRY 0x38000u
#define ICR_SMI   0x00000200u

/* The count of L2 at which SMRAM is stuffed, and for how many counts; never, unless build.sh is told. */
#ifndef STUFF_AT
#define STUFF_AT 0
#endif
#define STUFFED_PERIODS 150

/* Whether L2 runs with nested paging; not, unless build.sh is told. */
#ifndef NESTED_PAGING
#define NESTED_PAGING 0
#endif

extern const char smm_handler[], smm_ticks[], smm_handler_end[];

void l1_vmrun(struct vmcb *vmcb, struct l2_regs *regs, void *host_save);

static struct vmcb vmcbs[MAX_CPUS] __attribute__((aligned(4096)));
static uint8_t hsave[MAX_CPUS][4096] __attribute__((aligned(4096)));
static uint8_t vmsave_area[MAX_CPUS][4096] __attribute__((aligned(4096)));
static uint8_t iopm[3 * 4096] __attribute__((aligned(4096)));
static uint8_t msrpm[2 * 4096] __attribute__((aligned(4096)));

static void print_exit(unsigned int cpu, const struct vmcb *vmcb)
{
	uint16_t port = serial_ports[cpu];

	print_cpu(cpu);
	print(port, " exit ");
	print_hex(port, vmcb->exit_code);
	print(port, " info1 ");
	print_hex(port, vmcb->exit_info1);
	print(port, " info2 ");
	print_hex(port, vmcb->exit_info2);
	print(port, "\n");
}

_Bool has_svm(void)
{
	return cpuid_ecx(0x80000001u) & CPUID_8000_0001_ECX_SVM;
}

static void set_segment(struct vmcb_segment *seg, uint16_t selector, uint16_t attrib,
			uint32_t limit, uint64_t base)
{
	seg->selector = selector;
	seg->attrib = attrib;
	seg->limit = limit;
	seg->base = base;
}

/* L2 starts in L1's own 64-bit mode: same page tables, same descriptor table. */
static void fill_save_area(unsigned int cpu, struct vmcb *vmcb)
{
	set_segment(&vmcb->cs, SELECTOR_CODE, ATTRIB_CODE64, 0xffffffff, 0);
	set_segment(&vmcb->ds, SELECTOR_DATA, ATTRIB_DATA, 0xffffffff, 0);
	vmcb->es = vmcb->ss = vmcb->ds;
	set_segment(&vmcb->tr, (uint16_t)(SELECTOR_TSS + 16 * cpu), ATTRIB_TSS64, TSS_SIZE - 1,
		    (uintptr_t)tss[cpu]);
	set_segment(&vmcb->gdtr, 0, 0, (uint32_t)((char *)gdt_end - (char *)gdt - 1),
		    (uintptr_t)gdt);
	vmcb->efer = rdmsr(MSR_EFER);
	__asm__("mov %%cr0, %0" : "=r"(vmcb->cr0));
	__asm__("mov %%cr4, %0" : "=r"(vmcb->cr4));
	vmcb->cr3 = (uintptr_t)page_map_level4;
	vmcb->dr6 = 0xffff0ff0;
	vmcb->dr7 = 0x400;
	vmcb->rflags = 0x2;
	vmcb->g_pat = rdmsr(MSR_PAT);
	vmcb->rip = (uintptr_t)l2_start;
	vmcb->rsp = l2_stack(cpu);
}

static void fill_control_area(struct vmcb *vmcb)
{
	vmcb->intercept3 = INTERCEPT3_CPUID | INTERCEPT3_HLT | INTERCEPT3_SHUTDOWN;
	vmcb->intercept4 = INTERCEPT4_VMRUN;
	vmcb->iopm_base_pa = (uintptr_t)iopm;
	vmcb->msrpm_base_pa = (uintptr_t)msrpm;
	vmcb->asid = 1;
	if (NESTED_PAGING) {
		vmcb->nested_ctl = NESTED_CTL_NP_ENABLE;
		vmcb->nested_cr3 = (uintptr_t)page_map_level4;
	}
}

/*
 * An SMI that comes in L2, whose handler has broken SMRAM for a while: it pends as long as GIF is 0, and VMRUN
 * sets that (APM volume 2, 15.17 "Global Interrupt Flag"). period: ticks between two counts.
 */
static void stuff_smram(uint64_t period)
{
	uint8_t *handler = (uint8_t *)(uintptr_t)SMM_ENTRY;

	for (long i = 0; i < smm_handler_end - smm_handler; i++)
		handler[i] = (uint8_t)smm_handler[i];
	*(uint64_t *)(handler + (smm_ticks - smm_handler)) = period * STUFFED_PERIODS;
	__asm__ volatile("clgi" : : : "memory");
	*APIC_ICR_HIGH = 0;
	*APIC_ICR_LOW = ICR_SMI;
}

void svm_run(unsigned int cpu)
{
	struct vmcb *vmcb = &vmcbs[cpu];
	struct l2_regs regs = l2_first_regs(cpu);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, (uintptr_t)hsave[cpu]);
	fill_control_area(vmcb);
	fill_save_area(cpu, vmcb);
	for (;;) {
		if (cpu == 0 && STUFF_AT && regs.r12 == STUFF_AT)
			stuff_smram(regs.r15);
		l1_vmrun(vmcb, &regs, vmsave_area[cpu]);
		if (vmcb->exit_code != VMEXIT_CPUID)
			break;
		vmcb->rax = regs.rbx = regs.rcx = regs.rdx = 0;
		vmcb->rip += 2; /* 0f a2 */
	}
	print_exit(cpu, vmcb);
	halt();
}
