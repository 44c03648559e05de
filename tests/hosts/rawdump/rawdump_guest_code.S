// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the guest executes, position-independent; rawdump_guest.c copies it into guest memory.
 *
 * L1 is 64-bit code; rax holds the address of the VMCB when it starts, and again after #VMEXIT. L2
 * calls it with VMMCALL now and then: L1 says so on port 0xa0, with GIF set, and resumes L2. Any
 * other exit it reports with six OUTs of 32 bits to ports 0x84 to 0x98: exit code, exit info 1,
 * exit info 2, low halves first. KVM 6.1 gives VMEXIT_INVALID with a high half of 0, hardware with
 * all ones.
 */
#define EXIT_VMMCALL	0x81
#define PAE_PDPT	0xe000	/* see guest_clean() */

	.section .rodata
	.globl guest_code, guest_code_end
guest_code:
	.globl guest_l1
	.code64
guest_l1:
	clgi
	andb $0xdf, PAE_PDPT
	vmload
	vmrun
	cmpl $EXIT_VMMCALL, 0x70(%rax)
	jne 1f
	addq $3, 0x578(%rax)
	stgi
	movq %rax, %rcx
	movl %ebx, %eax
	outl %eax, $0xa0
	movq %rcx, %rax
	jmp guest_l1
1:	leaq 0x70(%rax), %rsi
	movl $0x84, %edx
2:	lodsl
	outl %eax, %dx
	addl $4, %edx
	cmpl $0x9c, %edx
	jne 2b
3:	cli
	hlt
	jmp 3b

/*
 * L2 counts on port 0x80 and calls L1 at every fourth count. Exceptions say their vector on port
 * 0xb4 and go on counting, without IRET: nobody has to know which of them push an error code. The
 * same source for each width; entries for the exceptions are eight bytes apart. A guest without an
 * L2 does the same, and says itself what L1 would say.
 */
	.macro counter name, width, stack, call:vararg
	.code\width
	.balign 16
	.globl \name, \name\()_exceptions
\name:
	incl %ebx
	movl %ebx, %eax
	outl %eax, $0x80
	testb $3, %bl
	jnz \name
	\call
	jmp \name
	.balign 8
\name\()_exceptions:
	vector = 0
	.rept 32
	.balign 8
	movb $vector, %cl
	jmp 8f
	vector = vector + 1
	.endr
8:	movzbl %cl, %eax
	outl %eax, $0xb4
	movl $\stack, %esp
	jmp \name
	.endm

	counter guest_l2_64, 64, 0x18000, vmmcall
	counter guest_l2_32, 32, 0x18000, vmmcall
	counter guest_l2_16, 16, 0x8000, vmmcall
	counter guest_plain, 32, 0x18000, outl %eax, $0xa0

/*
 * L1 with VMX, 64-bit. It does the VMWRITEs that the loader has put at VMX_WRITES, pairs of encoding
 * and value. Six words report what is no VMCALL: exit reason, VM-instruction error, exit qualification
 * (low half first), VM-exit interruption information, IDT-vectoring information; instead of the exit
 * reason all ones for a VMfailInvalid of any VMX instruction, all ones but the last for a VMfailValid.
 */
#define VMX_OPERANDS	0xb000	/* addresses of the VMXON region and the VMCS; see rawdump_vmx.h */
#define VMX_WRITES	0xb010
#define VM_INSTRUCTION_ERROR	0x4400
#define VM_EXIT_REASON		0x4402
#define VM_EXIT_INTR_INFO	0x4404
#define IDT_VECTORING_INFO	0x4408
#define EXIT_QUALIFICATION	0x6400
#define GUEST_RIP		0x681e
#define EXIT_REASON_VMCALL	18

	.macro vmx_report field, port
	movl $\field, %ecx
	vmread %rcx, %rax
	outl %eax, $\port
	.endm

	.globl guest_vmx_l1, guest_vmx_exit
	.code64
	.balign 16
guest_vmx_l1:
	vmxon VMX_OPERANDS
	jbe 4f
	outl %eax, $0xb8
	vmclear VMX_OPERANDS + 8
	jbe 4f
	vmptrld VMX_OPERANDS + 8
	jbe 4f
	movl $VMX_WRITES, %esi
1:	lodsq
	cmpq $-1, %rax
	je 2f
	movq %rax, %rcx
	lodsq
	vmwrite %rax, %rcx
	jbe 4f
	jmp 1b
2:	vmlaunch
	jmp 4f
guest_vmx_exit:
	movl $VM_EXIT_REASON, %ecx
	vmread %rcx, %rdi
	jbe 4f
	cmpl $EXIT_REASON_VMCALL, %edi
	jne 5f
	movl $GUEST_RIP, %ecx
	vmread %rcx, %rax
	addq $3, %rax
	vmwrite %rax, %rcx
	movl %ebx, %eax
	outl %eax, $0xa0
	vmresume
4:	movl $-1, %edi
	jc 5f
	movl $-2, %edi
5:	movl %edi, %eax
	outl %eax, $0x84
	vmx_report VM_INSTRUCTION_ERROR, 0x88
	vmx_report EXIT_QUALIFICATION, 0x8c
	shrq $32, %rax
	outl %eax, $0x90
	vmx_report VM_EXIT_INTR_INFO, 0x94
	vmx_report IDT_VECTORING_INFO, 0x98
6:	cli
	hlt
	jmp 6b

/*
 * Before each call L2 takes one of the first two entries of the EPTP list, in turn; r8d, 0 unless
 * somebody changes it, leads to others.
 */
	.macro switch_eptp_and_call
	xorl %eax, %eax
	movl %ebx, %ecx
	shrl $2, %ecx
	andl $1, %ecx
	xorl %r8d, %ecx
	vmfunc
	vmcall
	.endm

	counter guest_vmx_l2_64, 64, 0x18000, vmcall
	counter guest_vmx_l2_32, 32, 0x18000, vmcall
	counter guest_vmx_l2_16, 16, 0x8000, vmcall
	counter guest_vmx_eptp, 64, 0x18000, switch_eptp_and_call
guest_code_end:

/* The SMI handler, at SMBASE + 0x8000, in real mode with 4 GiB segments. */
	.code16
	.globl guest_smm, guest_smm_end
guest_smm:
	movl $1, %eax
	outl %eax, $0xb0
	rsm
guest_smm_end:

	.section .note.GNU-stack, "", @progbits
