// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the guest executes, position-independent 64-bit code; rawdump_guest.c copies it into
 * guest memory. rax holds the address of the VMCB when L1 starts, and again after #VMEXIT.
 *
 * L1 reports an exit of L2 with two OUTs: the low half of the exit code, then the high one.
 * KVM 6.1 gives VMEXIT_INVALID with a high half of 0, hardware with all ones.
 */
	.section .rodata
	.globl guest_l1_code, guest_l2_code, guest_code_end
guest_l1_code:
	clgi
	vmload
	vmrun
	movq %rax, %rbx
	movl 0x70(%rbx), %eax
	outl %eax, $0x84
	movl 0x74(%rbx), %eax
	outl %eax, $0x88
1:	cli
	hlt
	jmp 1b

guest_l2_code:
	incl %ebx
	movl %ebx, %eax
	outl %eax, $0x80
	jmp guest_l2_code
guest_code_end:

	.section .note.GNU-stack, "", @progbits
