/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A firmware of 64 KiB for make-tcg.sh: from the reset vector on it counts in 64 pages from 64 KiB on, one
 * dword of each in turn, so that most of a page stays as it is (which is what xbzrle is for).
 */
	.code16
	.globl _start
_start:
	cli
	xorl	%ebx, %ebx
again:
	movw	$0x1000, %ax
page:
	movw	%ax, %ds
	incl	%ebx
	/* Under TCG what is in the TLB is not seen to be dirtied again. */
	invlpg	0x10
	movl	%ebx, 0x10
	addw	$0x100, %ax
	cmpw	$0x5000, %ax
	jb	page
	jmp	again

	.org	0xfff0
	ljmp	$0xf000, $_start
	.org	0x10000
