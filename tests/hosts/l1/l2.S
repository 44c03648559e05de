// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L2: counts for ever and says so on a serial port.
 *
 * The count and all that the loop needs live in registers, so a count that
 * goes on after a restore proves that the registers came back:
 *   r12 count, r13 I/O base of the serial port, r14 digit of the cpu,
 *   r15 time-stamp ticks between two counts, r8 room in the port's FIFO,
 *   rsp 256 bytes of stack.
 *
 * CPUID is intercepted by L1: one exit and one VMRUN a count.
 */
#define UART_LINE_STATUS 5
#define UART_TRANSMITTER_EMPTY 0x20
#define UART_FIFO_SIZE 16

	.text
	.code64
	.globl l2_start
l2_start:
	xorl %eax, %eax
	cpuid
	incq %r12

	leaq prefix(%rip), %rsi
	call print
	movl %r14d, %eax
	call put
	leaq middle(%rip), %rsi
	call print
	movl $10000000, %edi
	movl %r12d, %ebx
1:	movl %ebx, %eax
	xorl %edx, %edx
	divl %edi
	movl %edx, %ebx
	addl $'0', %eax
	cmpl $'9', %eax
	jbe 2f
	movl $'?', %eax
2:	call put
	movl %edi, %eax
	xorl %edx, %edx
	movl $10, %ecx
	divl %ecx
	movl %eax, %edi
	testl %edi, %edi
	jnz 1b
	movl $'\n', %eax
	call put

	/* Unsigned difference: a time-stamp counter set back ends the wait, never prolongs it. */
	call ticks
	movq %rax, %rbx
3:	call ticks
	subq %rbx, %rax
	cmpq %r15, %rax
	jb 3b
	jmp l2_start

ticks:
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	ret

/* rsi: text with a NUL at the end */
print:
	lodsb
	testb %al, %al
	jz 4f
	call put
	jmp print
4:	ret

/*
 * al: character; changes rcx, rdx. Asks for room once a FIFO's worth: below two hypervisors
 * every access to a port costs milliseconds.
 */
put:
	movl %eax, %ecx
	subl $1, %r8d
	jns 6f
	leal UART_LINE_STATUS(%r13), %edx
5:	inb %dx, %al
	testb $UART_TRANSMITTER_EMPTY, %al
	jz 5b
	movl $UART_FIFO_SIZE - 1, %r8d
	movl %ecx, %eax
6:	movl %r13d, %edx
	outb %al, %dx
	ret

	.section .rodata
prefix:
	.asciz "L2 cpu"
middle:
	.asciz " count "

	.section .note.GNU-stack, "", @progbits
