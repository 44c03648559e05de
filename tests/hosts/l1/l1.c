// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hypervisor as small as it can be: each of at most two CPUs runs one L2
 * (l2.S) for ever and answers its CPUID. Anything else that L2 exits with is
 * printed on that CPU's serial port, and the CPU halts. Whether it does so
 * with SVM (svm.c) or VMX (vmx.c) is the processor's choice.
 */
#include "l1.h"

#define STACK_SIZE    256
#define AP_TRAMPOLINE 0x8000u
#define PERIOD_MS     100

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
#define APIC_SPURIOUS            ((volatile uint32_t *)0xfee000f0u)
#define APIC_ENABLE              0x1ffu
#define ICR_PENDING              (1u << 12)
#define ICR_INIT_ALL_BUT_SELF    0x000c4500u
#define ICR_STARTUP_ALL_BUT_SELF 0x000c4600u

void l1_main(unsigned int cpu);

static uint8_t l2_stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));
uint8_t tss[MAX_CPUS][TSS_SIZE] __attribute__((aligned(16)));
const uint16_t serial_ports[MAX_CPUS] = {0x3f8, 0x2f8};
static uint64_t l2_period;

void halt(void)
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

void print(uint16_t port, const char *text)
{
	while (*text)
		put(port, *text++);
}

void print_hex(uint16_t port, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		put(port, "0123456789abcdef"[value >> shift & 15]);
}

void print_cpu(unsigned int cpu)
{
	print(serial_ports[cpu], "L1 cpu");
	put(serial_ports[cpu], (char)('0' + cpu));
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

/* A 64-bit task-state segment descriptor takes two entries of the table. */
static void fill_tss_descriptor(unsigned int cpu)
{
	uint64_t base = (uintptr_t)tss[cpu];
	uint64_t *entry = &gdt[SELECTOR_TSS / 8 + 2 * cpu];

	entry[0] = (TSS_SIZE - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		   (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS + 16 * cpu));
}

uint64_t l2_stack(unsigned int cpu)
{
	return (uintptr_t)l2_stacks[cpu] + STACK_SIZE;
}

struct l2_regs l2_first_regs(unsigned int cpu)
{
	return (struct l2_regs){.r13 = serial_ports[cpu], .r14 = '0' + cpu, .r15 = l2_period};
}

void l1_main(unsigned int cpu)
{
	fill_tss_descriptor(cpu);
	serial_init(serial_ports[cpu]);
	if (!has_svm() && !has_vmx()) {
		print_cpu(cpu);
		print(serial_ports[cpu], " has neither SVM nor VMX: is nesting on?\n");
		halt();
	}
	if (cpu == 0) {
		calibrate_period();
		start_other_cpus();
	}
	if (has_svm())
		svm_run(cpu);
	vmx_run(cpu);
}
