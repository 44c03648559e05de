// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hypervisor as small as it can be: each of at most two CPUs runs one L2
 * (l2.S) for ever and answers its CPUID. Anything else that L2 exits with is
 * printed on that CPU's serial port, and the CPU halts.
 *
 * Sources: APM volume 2, 15.4 "Enabling SVM", 15.5 "VMRUN Instruction",
 * 15.30.4 "VM_HSAVE_PA MSR"; volume 3, "CPUID Fn8000_0001_ECX" (SVM).
 */
#include "svm.h"

#define MSR_EFER                0xc0000080u
#define MSR_PAT                 0x277u
#define MSR_VM_HSAVE_PA         0xc0010117u
#define EFER_SVME               (1u << 12)
#define CPUID_8000_0001_ECX_SVM (1u << 2)

#define MAX_CPUS                2
#define STACK_SIZE              256
#define AP_TRAMPOLINE           0x8000u
#define PERIOD_MS               100

#define SELECTOR_CODE           8
#define SELECTOR_DATA           16
#define SELECTOR_TSS            24

/* 8254 channel 2 and its gate: Intel 8254 data sheet, "Mode 0"; port 61h of the PC/AT */
#define PIT_HZ             1193182u
#define PIT_CHANNEL2       0x42
#define PIT_COMMAND        0x43
#define PIT_CHANNEL2_MODE0 0xb0
#define PORT_B             0x61
#define PORT_B_GATE2       0x01
#define PORT_B_SPEAKER     0x02
#define PORT_B_OUT2        0x20

/* Local APIC: APM volume 2, 16.5 "Interprocessor Interrupts (IPI)" */
#define APIC_ICR_LOW             ((volatile uint32_t *)0xfee00300u)
#define APIC_SPURIOUS            ((volatile uint32_t *)0xfee000f0u)
#define APIC_ENABLE              0x1ffu
#define ICR_PENDING              (1u << 12)
#define ICR_INIT_ALL_BUT_SELF    0x000c4500u
#define ICR_STARTUP_ALL_BUT_SELF 0x000c4600u

extern uint64_t gdt[], gdt_end[], page_map_level4[];
extern const char ap_trampoline[], ap_trampoline_end[], l2_start[];
void l1_main(unsigned int cpu);
void l1_vmrun(struct vmcb *vmcb, struct l2_regs *regs, void *host_save);

static struct vmcb vmcbs[MAX_CPUS] __attribute__((aligned(4096)));
static uint8_t hsave[MAX_CPUS][4096] __attribute__((aligned(4096)));
static uint8_t vmsave_area[MAX_CPUS][4096] __attribute__((aligned(4096)));
static uint8_t iopm[3 * 4096] __attribute__((aligned(4096)));
static uint8_t msrpm[2 * 4096] __attribute__((aligned(4096)));
static uint8_t l2_stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));
static uint8_t tss[MAX_CPUS][104] __attribute__((aligned(16)));
static const uint16_t serial_ports[MAX_CPUS] = {0x3f8, 0x2f8};
static uint64_t l2_period;

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void serial_init(uint16_t port)
{
	outb(port + 1, 0x00); /* no interrupts */
	outb(port + 3, 0x80); /* divisor latch */
	outb(port + 0, 0x01); /* 115200 baud */
	outb(port + 1, 0x00);
	outb(port + 3, 0x03); /* 8 bits, no parity, one stop bit */
	outb(port + 2, 0x07); /* FIFOs on and empty */
	outb(port + 4, 0x03); /* DTR, RTS */
}

static void put(uint16_t port, char c)
{
	while (!(inb(port + 5) & 0x20))
		;
	outb(port, (uint8_t)c);
}

static void print(uint16_t port, const char *text)
{
	while (*text)
		put(port, *text++);
}

static void print_hex(uint16_t port, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		put(port, "0123456789abcdef"[value >> shift & 15]);
}

static void print_cpu(unsigned int cpu)
{
	print(serial_ports[cpu], "L1 cpu");
	put(serial_ports[cpu], (char)('0' + cpu));
}

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

/* Waits on 8254 channel 2, the one clock that needs no interrupt and no calibration. */
static void wait_ms(unsigned int ms)
{
	while (ms--) {
		unsigned int count = PIT_HZ / 1000;

		outb(PORT_B, (uint8_t)((inb(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE2));
		outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
		outb(PIT_CHANNEL2, (uint8_t)count);
		outb(PIT_CHANNEL2, (uint8_t)(count >> 8));
		while (!(inb(PORT_B) & PORT_B_OUT2))
			;
	}
}

static void calibrate_period(void)
{
	uint64_t start = rdtsc();

	wait_ms(20);
	l2_period = (rdtsc() - start) / 20 * PERIOD_MS;
}

static void send_ipi(uint32_t command)
{
	*APIC_ICR_LOW = command;
	while (*APIC_ICR_LOW & ICR_PENDING)
		;
}

/* No table is read: whoever is there starts, and boot.S parks all but the first two. */
static void start_other_cpus(void)
{
	char *target = (char *)(uintptr_t)AP_TRAMPOLINE;

	for (const char *from = ap_trampoline; from < ap_trampoline_end; from++)
		*target++ = *from;
	*APIC_SPURIOUS = APIC_ENABLE;
	send_ipi(ICR_INIT_ALL_BUT_SELF);
	wait_ms(10);
	send_ipi(ICR_STARTUP_ALL_BUT_SELF | AP_TRAMPOLINE >> 12);
}

static _Bool has_svm(void)
{
	uint32_t eax = 0x80000001u, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx & CPUID_8000_0001_ECX_SVM;
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
	set_segment(&vmcb->tr, (uint16_t)(SELECTOR_TSS + 16 * cpu), ATTRIB_TSS64,
		    sizeof(tss[cpu]) - 1, (uintptr_t)tss[cpu]);
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
	vmcb->rsp = (uintptr_t)l2_stacks[cpu] + STACK_SIZE;
}

static void fill_control_area(struct vmcb *vmcb)
{
	vmcb->intercept3 = INTERCEPT3_CPUID | INTERCEPT3_HLT | INTERCEPT3_SHUTDOWN;
	vmcb->intercept4 = INTERCEPT4_VMRUN;
	vmcb->iopm_base_pa = (uintptr_t)iopm;
	vmcb->msrpm_base_pa = (uintptr_t)msrpm;
	vmcb->asid = 1;
}

/* A 64-bit task-state segment descriptor takes two entries of the table. */
static void fill_tss_descriptor(unsigned int cpu)
{
	uint64_t base = (uintptr_t)tss[cpu];
	uint64_t *entry = &gdt[SELECTOR_TSS / 8 + 2 * cpu];

	entry[0] = (sizeof(tss[cpu]) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		   (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS + 16 * cpu));
}

static void run_l2(unsigned int cpu)
{
	struct vmcb *vmcb = &vmcbs[cpu];
	struct l2_regs regs = {.r13 = serial_ports[cpu], .r14 = '0' + cpu, .r15 = l2_period};

	for (;;) {
		l1_vmrun(vmcb, &regs, vmsave_area[cpu]);
		if (vmcb->exit_code != VMEXIT_CPUID)
			break;
		vmcb->rax = regs.rbx = regs.rcx = regs.rdx = 0;
		vmcb->rip += 2; /* 0f a2 */
	}
	print_exit(cpu, vmcb);
	halt();
}

void l1_main(unsigned int cpu)
{
	fill_tss_descriptor(cpu);
	serial_init(serial_ports[cpu]);
	if (!has_svm()) {
		print_cpu(cpu);
		print(serial_ports[cpu], " has no SVM: is nesting on?\n");
		halt();
	}
	if (cpu == 0) {
		calibrate_period();
		start_other_cpus();
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, (uintptr_t)hsave[cpu]);
	fill_control_area(&vmcbs[cpu]);
	fill_save_area(cpu, &vmcbs[cpu]);
	run_l2(cpu);
}
