// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the multiboot loader (or a start-up IPI) to 64-bit C.
 *
 * Multiboot Specification 0.6.96, "OS image format" and "Machine state";
 * APM volume 2, 14.6 "Enabling and Activating Long Mode";
 * APM volume 2, 16.5 "Interprocessor interrupts" for the vector of a SIPI.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0

#define CR0_LONG 0x80010033	/* PG WP NE ET MP PE */
#define CR4_LONG 0x00000620	/* OSXMMEXCPT OSFXSR PAE */
#define EFER 0xc0000080
#define EFER_LME (1 << 8)

#define SELECTOR_CODE64 8
#define SELECTOR_DATA 16
#define SELECTOR_CODE32 56

#define STACK_SIZE 4096
#define MAX_CPUS 2

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl boot_start
boot_start:
	cli
	cld
	movl $l1_stacks + STACK_SIZE, %esp
	call build_page_tables

/* Every CPU: flat 32-bit protected mode, paging off. */
boot_cpu:
	movl $1, %esi
	lock xaddl %esi, cpus_started
	cmpl $MAX_CPUS, %esi
	jae park
	movl $CR4_LONG, %eax
	movl %eax, %cr4
	movl $page_map_level4, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_LONG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SELECTOR_CODE64, $long_mode
park:
	cli
	hlt
	jmp park

/*
 * 4 GiB mapped one to one with 2 MiB pages; the last GiB, with the local APIC, uncached. Every page is the user's,
 * so that they may be nested page tables too (APM volume 2, 15.25.5 "Nested Table Walk").
 */
build_page_tables:
	movl $page_directories + 7, %eax
	movl $page_directory_pointers, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 1b
	movl $page_directory_pointers + 7, page_map_level4
	movl $0x87, %eax		/* page size, user, writable, present */
	movl $page_directories, %edi
	movl $4 * 512, %ecx
2:	cmpl $512, %ecx
	jne 3f
	orl $0x18, %eax			/* PCD PWT */
3:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 2b
	ret

	.code64
long_mode:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	lidt no_idt
	movl %esi, %eax
	incl %eax
	imull $STACK_SIZE, %eax
	leaq l1_stacks(%rax), %rsp
	xorl %ebp, %ebp
	movl %esi, %edi
	call l1_main
1:	cli
	hlt
	jmp 1b

/* Copied below 1 MiB, where a SIPI's vector can point. Knows no address but the GDT's. */
	.code16
	.globl ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl ap_gdt_pointer - ap_trampoline
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $SELECTOR_CODE32, $ap_protected_mode
	.balign 4
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_trampoline_end:

	.code32
ap_protected_mode:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	jmp boot_cpu

	.data
	.balign 16
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 8: 64-bit code */
	.quad 0x00cf93000000ffff	/* 16: data */
	.quad 0, 0			/* 24: task-state segment of cpu0, filled by l1_main */
	.quad 0, 0			/* 40: and of cpu1 */
	.quad 0x00cf9b000000ffff	/* 56: 32-bit code, on the way up only */
	.globl gdt_end
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
no_idt:
	.word 0
	.quad 0
cpus_started:
	.long 0

	.bss
	.balign 4096
	.globl page_map_level4
page_map_level4:
	.skip 4096
page_directory_pointers:
	.skip 4096
page_directories:
	.skip 4 * 4096
l1_stacks:
	.skip MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
