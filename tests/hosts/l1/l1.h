// SPDX-License-Identifier: GPL-2.0-or-later
/* What the parts of the test hypervisor share. */
#ifndef L1_H
#define L1_H

#include <stdint.h>

#define MAX_CPUS      2
#define TSS_SIZE      104

#define SELECTOR_CODE 8
#define SELECTOR_DATA 16
#define SELECTOR_TSS  24

/* Local APIC: APM volume 2, 16.5 "Interprocessor Interrupts (IPI)" */
#define APIC_ICR_LOW  ((volatile uint32_t *)0xfee00300u)
#define APIC_ICR_HIGH ((volatile uint32_t *)0xfee00310u)

/* L2's registers that VMRUN or VMLAUNCH does not switch; vmrun.S and vmx_enter.S know this order. */
struct l2_regs {
	uint64_t rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rax; /* VMX only: VMRUN switches it */
};

extern uint64_t gdt[], gdt_end[], page_map_level4[];
extern const char ap_trampoline[], ap_trampoline_end[], l2_start[];
extern uint8_t tss[MAX_CPUS][TSS_SIZE];
extern const uint16_t serial_ports[MAX_CPUS];

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

static inline uint32_t cpuid_ecx(uint32_t leaf)
{
	uint32_t ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx;
}

void halt(void) __attribute__((noreturn));
void print(uint16_t port, const char *text);
void print_hex(uint16_t port, uint64_t value);
void print_cpu(unsigned int cpu);

uint64_t l2_stack(unsigned int cpu);
struct l2_regs l2_first_regs(unsigned int cpu);

/* svm.c, vmx.c: L2 runs until it exits with something that is not expected. */
_Bool has_svm(void);
void svm_run(unsigned int cpu) __attribute__((noreturn));
_Bool has_vmx(void);
void vmx_run(unsigned int cpu) __attribute__((noreturn));

#endif
