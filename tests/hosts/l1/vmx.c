// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L1 on Intel. L2 starts in L1's own 64-bit mode, with the same page tables and the same descriptor
 * table; no EPT. CPUID exits whatever the controls say.
 *
 * Sources: SDM volume 3, 24.7 "Enabling and Entering VMX Operation", 25.11 "Software Use of the VMCS
 * and Related Structures", 27.2 and 27.3 (checks of a VM entry), appendix A.
 */
#include "l1.h"
#include "vmx.h"

struct vmx_page {
	uint32_t revision;
	uint8_t rest[4092];
} __attribute__((aligned(4096)));

/* vmx_enter.S: 0 after a VM exit, 1 if the instruction failed. */
int l1_vmenter(struct l2_regs *regs, int resume);
extern const char l1_vmexit[];

static struct vmx_page vmxon_regions[MAX_CPUS], vmcs_regions[MAX_CPUS];

_Bool has_vmx(void)
{
	return cpuid_ecx(1) & CPUID_1_ECX_VMX;
}

static void vmwrite(enum vmcs_field field, uint64_t value)
{
	__asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"((uint64_t)field) : "cc");
}

static uint64_t vmread(enum vmcs_field field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

static void fail(unsigned int cpu, const char *what)
{
	print_cpu(cpu);
	print(serial_ports[cpu], what);
	print(serial_ports[cpu], " error ");
	print_hex(serial_ports[cpu], vmread(INSTRUCTION_ERROR));
	print(serial_ports[cpu], "\n");
	halt();
}

/* CF or ZF say that the instruction failed. */
#define VMX_FAILS(instruction, address)                                                            \
	({                                                                                         \
		uint64_t operand = (uintptr_t)(address);                                           \
		_Bool failed;                                                                      \
		__asm__ volatile(instruction " %1" : "=@ccbe"(failed) : "m"(operand) : "memory");  \
		failed;                                                                            \
	})

static void enable_vmx(unsigned int cpu)
{
	uint32_t revision = (uint32_t)rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	uint64_t control = rdmsr(MSR_FEATURE_CONTROL), cr4;

	if (!(control & FEATURE_CONTROL_LOCKED))
		wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_VMXE));
	vmxon_regions[cpu].revision = vmcs_regions[cpu].revision = revision;
	if (VMX_FAILS("vmxon", &vmxon_regions[cpu]))
		fail(cpu, " vmxon");
	if (VMX_FAILS("vmclear", &vmcs_regions[cpu]) || VMX_FAILS("vmptrld", &vmcs_regions[cpu]))
		fail(cpu, " vmptrld");
}

/* What is wanted, what must be, and nothing that may not: the low half of the MSR, its high half. */
static void write_controls(enum vmcs_field field, uint32_t msr, uint32_t wanted)
{
	uint64_t allowed;

	if (rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE_CONTROLS)
		msr += MSR_VMX_TRUE_OFFSET;
	allowed = rdmsr(msr);
	vmwrite(field, (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32));
}

static void fill_controls(void)
{
	write_controls(PIN_CONTROLS, MSR_VMX_PIN, 0);
	write_controls(PROC_CONTROLS, MSR_VMX_PROC, PROC_HLT);
	write_controls(EXIT_CONTROLS, MSR_VMX_EXIT, EXIT_HOST_64);
	write_controls(ENTRY_CONTROLS, MSR_VMX_ENTRY, ENTRY_GUEST_64);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
}

static void fill_segments(unsigned int cpu)
{
	for (enum vmcs_field seg = 0; seg <= GUEST_DS_SELECTOR - GUEST_ES_SELECTOR; seg += 2) {
		_Bool is_code = GUEST_ES_SELECTOR + seg == GUEST_CS_SELECTOR;
		uint64_t selector = is_code ? SELECTOR_CODE : SELECTOR_DATA;

		vmwrite(GUEST_ES_SELECTOR + seg, selector);
		vmwrite(HOST_ES_SELECTOR + seg, selector);
		vmwrite(GUEST_ES_LIMIT + seg, 0xffffffff);
		vmwrite(GUEST_ES_RIGHTS + seg, is_code ? RIGHTS_CODE64 : RIGHTS_DATA);
	}
	vmwrite(GUEST_FS_RIGHTS, RIGHTS_UNUSABLE);
	vmwrite(GUEST_GS_RIGHTS, RIGHTS_UNUSABLE);
	vmwrite(GUEST_LDTR_RIGHTS, RIGHTS_UNUSABLE);
	vmwrite(GUEST_TR_SELECTOR, SELECTOR_TSS + 16 * cpu);
	vmwrite(HOST_TR_SELECTOR, SELECTOR_TSS + 16 * cpu);
	vmwrite(GUEST_TR_BASE, (uintptr_t)tss[cpu]);
	vmwrite(HOST_TR_BASE, (uintptr_t)tss[cpu]);
	vmwrite(GUEST_TR_LIMIT, TSS_SIZE - 1);
	vmwrite(GUEST_TR_RIGHTS, RIGHTS_TSS64);
	vmwrite(GUEST_GDTR_BASE, (uintptr_t)gdt);
	vmwrite(HOST_GDTR_BASE, (uintptr_t)gdt);
	vmwrite(GUEST_GDTR_LIMIT, (uint64_t)((char *)gdt_end - (char *)gdt - 1));
}

static void fill_registers(unsigned int cpu)
{
	uint64_t cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	vmwrite(GUEST_CR0, cr0);
	vmwrite(HOST_CR0, cr0);
	vmwrite(GUEST_CR3, (uintptr_t)page_map_level4);
	vmwrite(HOST_CR3, (uintptr_t)page_map_level4);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(HOST_CR4, cr4);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RFLAGS, 0x2);
	vmwrite(GUEST_RIP, (uintptr_t)l2_start);
	vmwrite(GUEST_RSP, l2_stack(cpu));
	vmwrite(HOST_RIP, (uintptr_t)l1_vmexit);
}

static void print_exit(unsigned int cpu)
{
	uint16_t port = serial_ports[cpu];

	print_cpu(cpu);
	print(port, " exit ");
	print_hex(port, vmread(EXIT_REASON));
	print(port, " qualification ");
	print_hex(port, vmread(EXIT_QUALIFICATION));
	print(port, "\n");
}

void vmx_run(unsigned int cpu)
{
	struct l2_regs regs = l2_first_regs(cpu);

	enable_vmx(cpu);
	fill_controls();
	fill_segments(cpu);
	fill_registers(cpu);
	for (int resume = 0;; resume = 1) {
		if (l1_vmenter(&regs, resume))
			fail(cpu, " VM entry");
		if (vmread(EXIT_REASON) != EXIT_REASON_CPUID)
			break;
		regs.rax = regs.rbx = regs.rcx = regs.rdx = 0;
		vmwrite(GUEST_RIP, vmread(GUEST_RIP) + 2); /* 0f a2 */
	}
	print_exit(cpu);
	halt();
}
