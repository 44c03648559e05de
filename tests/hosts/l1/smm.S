// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An SMI handler that breaks what RSM will load, waits, mends it and returns to L2: while it waits, the saved CR0
 * has PG without PE.
 *
 * It is copied to SMBASE + 0x8000, with SMBASE as it is after a reset, and starts in real mode with segments of
 * 4 GiB, DS from 0 (APM volume 2, 10.3.1 "SMRAM", 10.3.2 "SMBASE Register", 10.3.3 "SMRAM State-Save Area": CR0
 * is at offset 0xff58).
 */
#define SMBASE    0x30000
#define SAVED_CR0 (SMBASE + 0xff58)
#define CR0_PG    0x80000000
#define TICKS     (SMBASE + 0x8000 + smm_ticks - smm_handler)

	.text
	.code16
	.globl smm_handler, smm_ticks, smm_handler_end
smm_handler:
	addr32 movl SAVED_CR0, %ebp
	addr32 movl $CR0_PG, SAVED_CR0
	rdtsc
	movl %eax, %esi
	movl %edx, %edi
1:	rdtsc
	subl %esi, %eax
	sbbl %edi, %edx
	addr32 subl TICKS, %eax
	addr32 sbbl TICKS + 4, %edx
	jc 1b
	addr32 movl %ebp, SAVED_CR0
	rsm
	.balign 8
smm_ticks:
	.quad 0
smm_handler_end:

	.section .note.GNU-stack, "", @progbits
