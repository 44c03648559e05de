/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A boot sector for tests/cli/live.sh: counts on the serial port, a line of eight hexadecimal digits
 * at every tick of the BIOS timer. With more than 144 MiB of RAM it first fills 128 MiB with what
 * does not compress. With SVME it sets EFER.SVME first, as a hypervisor does. With BAD it also sets CR0.NW without CD, which no processor takes, but TCG does.
 */
	.code16
	.globl _start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
.ifdef SVME
	movl	$0xc0000080, %ecx
	rdmsr
	orw	$0x1000, %ax
	wrmsr
.endif
	/* CMOS: RAM above 16 MiB, in units of 16 MiB. */
	movb	$0x35, %al
	outb	%al, $0x70
	inb	$0x71, %al
	cmpb	$8, %al
	jb	count

	/* A flat segment in real mode, to reach all of it. */
	lgdtl	gdt_pointer
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$8, %bx
	movw	%bx, %es
	andb	$0xfe, %al
	movl	%eax, %cr0
	movl	$0x200000, %edi
	movl	$(128 << 20) / 4, %ecx
	movl	$1, %eax
fill:
	imull	$1664525, %eax, %eax
	addl	$1013904223, %eax
	movl	%eax, %es:(%edi)
	addl	$4, %edi
	decl	%ecx
	jnz	fill

count:
.ifdef BAD
	movl	%cr0, %eax
	andl	$0xbfffffff, %eax
	orl	$0x20000000, %eax
	movl	%eax, %cr0
.endif
	xorl	%ebx, %ebx
tick:
	sti
	hlt
	incl	%ebx
	movw	$8, %cx
digit:
	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	1f
	addb	$'a' - '9' - 1, %al
1:	call	put
	loop	digit
	movb	$'\n', %al
	call	put
	jmp	tick

put:
	movb	%al, %ah
	movw	$0x3fd, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movb	%ah, %al
	movw	$0x3f8, %dx
	outb	%al, %dx
	ret

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf92000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.org	510
	.word	0xaa55
