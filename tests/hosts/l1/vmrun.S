// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * void l1_vmrun(struct vmcb *vmcb, struct l2_regs *regs, void *host_save);
 *
 * One world switch. VMRUN switches only part of the state; VMLOAD and VMSAVE
 * do the rest of the segment state and the system-call MSRs, software the
 * general-purpose registers (APM volume 2, 15.5.2 "VMSAVE and VMLOAD
 * Instructions"; 15.17 "Global Interrupt Flag, STGI and CLGI Instructions").
 */
	.text
	.code64
	.globl l1_vmrun
l1_vmrun:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdx
	pushq %rsi

	clgi
	movq %rdx, %rax
	vmsave
	movq %rdi, %rax
	movq 0(%rsi), %rbx
	movq 8(%rsi), %rcx
	movq 16(%rsi), %rdx
	movq 32(%rsi), %rdi
	movq 40(%rsi), %rbp
	movq 48(%rsi), %r8
	movq 56(%rsi), %r9
	movq 64(%rsi), %r10
	movq 72(%rsi), %r11
	movq 80(%rsi), %r12
	movq 88(%rsi), %r13
	movq 96(%rsi), %r14
	movq 104(%rsi), %r15
	movq 24(%rsi), %rsi
	vmload
	vmrun
	vmsave
	xchgq %rsi, (%rsp)
	popq 24(%rsi)
	movq %rbx, 0(%rsi)
	movq %rcx, 8(%rsi)
	movq %rdx, 16(%rsi)
	movq %rdi, 32(%rsi)
	movq %rbp, 40(%rsi)
	movq %r8, 48(%rsi)
	movq %r9, 56(%rsi)
	movq %r10, 64(%rsi)
	movq %r11, 72(%rsi)
	movq %r12, 80(%rsi)
	movq %r13, 88(%rsi)
	movq %r14, 96(%rsi)
	movq %r15, 104(%rsi)
	popq %rax
	vmload
	stgi

	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.section .note.GNU-stack, "", @progbits
