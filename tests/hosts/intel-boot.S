// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the emulated Intel host gets from the BIOS to the kernel. Bochs has put everything into RAM
 * (intel.sh: make_image): what a boot loader would read, through the BIOS and in minutes, and the
 * kernel as it is after its own decompression, which takes as long.
 *
 * Bochs gives RAM to the guest in blocks, in the order in which they are touched first, but loads an
 * image as if the blocks after its first one were already in place. So the image begins with room for
 * the blocks that the BIOS touches; the last block of that room says MAGIC, how many blocks follow it
 * and how many of those are the kernel. Who touches new blocks until he finds that one, and then the
 * following, has the image.
 *
 * .boot_sector starts the kernel's real-mode part; that asks the BIOS what it has to and jumps to
 * .entry instead of to the decompressor; and that to the 64-bit entry of the kernel proper.
 *
 * Documentation/x86/boot.rst: "The Real-Mode Kernel Header" (code32_start, a hook), "Running the
 * Kernel", "32-bit Boot Protocol", "64-bit Boot Protocol".
 */
#define SETUP_SEGMENT 0x9000
#define SETUP_STACK 0xfff0
#define KERNEL 0x1000000
#define PAGE_TABLES 0x110000
#define IMAGE 0x10000000
#define IMAGE_END 0x1c000000
#define BLOCK 0x20000
#define MAGIC 0x74756f62
#define RAMDISK_IMAGE 0x218	/* in boot_params */

#define CR4_PAE (1 << 5)
#define EFER 0xc0000080
#define EFER_LME (1 << 8)
#define CR0_PG (1 << 31)
#define PAGE_PRESENT_WRITE 3
#define PAGE_LARGE 0x80

	.section .boot_sector, "ax"
	.code16
	cli
	cld
	movw $SETUP_SEGMENT, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %fs
	movw %ax, %gs
	movw %ax, %ss
	movw $SETUP_STACK, %sp
	ljmp $SETUP_SEGMENT + 0x20, $0
	.org 510
	.word 0xaa55

/* Flat 32-bit protected mode, paging off; esi: boot_params, for the kernel. */
	.section .entry, "ax"
	.code32
	cld
	movl $IMAGE, %ebx
1:	cmpl $MAGIC, (%ebx)
	je 2f
	addl $BLOCK, %ebx
	cmpl $IMAGE_END, %ebx
	jb 1b
	hlt
2:	movl 4(%ebx), %ecx
	movl %ebx, %edx
3:	addl $BLOCK, %edx
	movl (%edx), %eax
	loop 3b
	/* Everything is in place: the kernel goes where it belongs. */
	movl %esi, %ebp
	movl 8(%ebx), %ecx
	imull $BLOCK / 4, %ecx, %ecx
	leal BLOCK(%ebx), %esi
	movl $KERNEL, %edi
	rep movsl
	movl %esi, RAMDISK_IMAGE(%ebp)
	movl %ebp, %esi

	movl $PAGE_TABLES, %edi
	movl $PAGE_TABLES + 0x1000 + PAGE_PRESENT_WRITE, (%edi)
	movl $PAGE_TABLES + 0x2000 + PAGE_PRESENT_WRITE, 0x1000(%edi)
	addl $0x2000, %edi
	movl $PAGE_LARGE + PAGE_PRESENT_WRITE, %eax
	movl $512, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $PAGE_TABLES, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x10, $long_mode

	.code64
long_mode:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $KERNEL, %eax
	jmp *%rax

	.balign 8
gdt:
	.quad 0, 0
	.quad 0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x18: data */
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.section .note.GNU-stack, "", @progbits
