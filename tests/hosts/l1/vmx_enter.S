// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * int l1_vmenter(struct l2_regs *regs, int resume);
 *
 * One world switch: VMLAUNCH or VMRESUME, and back at l1_vmexit with the stack of HOST_RSP. The
 * general-purpose registers are software's (SDM volume 3, 28.5 "Loading Host State").
 */
#define HOST_RSP 0x6c14

	.text
	.code64
	.globl l1_vmenter, l1_vmexit
l1_vmenter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	movl $HOST_RSP, %eax
	vmwrite %rsp, %rax
	testl %esi, %esi	/* no MOV changes the flag */
	movq 0(%rdi), %rbx
	movq 8(%rdi), %rcx
	movq 16(%rdi), %rdx
	movq 24(%rdi), %rsi
	movq 40(%rdi), %rbp
	movq 48(%rdi), %r8
	movq 56(%rdi), %r9
	movq 64(%rdi), %r10
	movq 72(%rdi), %r11
	movq 80(%rdi), %r12
	movq 88(%rdi), %r13
	movq 96(%rdi), %r14
	movq 104(%rdi), %r15
	movq 112(%rdi), %rax
	movq 32(%rdi), %rdi
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	popq %rdi
	movl $1, %eax
	jmp 3f

l1_vmexit:
	xchgq %rdi, (%rsp)
	popq 32(%rdi)
	movq %rbx, 0(%rdi)
	movq %rcx, 8(%rdi)
	movq %rdx, 16(%rdi)
	movq %rsi, 24(%rdi)
	movq %rbp, 40(%rdi)
	movq %r8, 48(%rdi)
	movq %r9, 56(%rdi)
	movq %r10, 64(%rdi)
	movq %r11, 72(%rdi)
	movq %r12, 80(%rdi)
	movq %r13, 88(%rdi)
	movq %r14, 96(%rdi)
	movq %r15, 104(%rdi)
	movq %rax, 112(%rdi)
	xorl %eax, %eax
3:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.section .note.GNU-stack, "", @progbits
