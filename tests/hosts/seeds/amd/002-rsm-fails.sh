# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Seed 002: L2 is active, an SMI comes to L1, its handler's RSM fails. KVM 6.1 has re-entered L2 by
# then, with nested_run_pending set; it gives L1 a SHUTDOWN exit and warns in nested_svm_vmexit. What
# fails before that is a shutdown of the whole VM.

l1_sees='triple-fault-to-l1 # code=0x7f gif=0'

for variant in smm-l2-long-nonp smm-l2-long-np; do
	on $variant
	start_case 002-good resumes

	# rsm_load_state_64 fails: nested_run_pending is set
	start_case 002-cr0-nw-without-cd "$l1_sees"
	poke smram_cr0 330001a0
	warns
	start_case 002-cr4-reserved "$l1_sees"
	poke smram_cr4 20060080
	warns
	start_case 002-cr4-no-pae "$l1_sees"
	poke smram_cr4 00060000
	warns
	start_case 002-efer-reserved "$l1_sees"
	poke smram_efer 0095
	warns
	start_case 002-dr6-high "$l1_sees"
	poke smram_dr6 f00fffff01
	warns
	start_case 002-dr7-high "$l1_sees"
	poke smram_dr7 0004000001
	warns

	# The emulator takes the low half of CR0 and CR4 only (mk_cr_64).
	start_case 002-cr0-high resumes
	poke smram_cr0 3300018001000000
	start_case 002-cr4-high resumes
	poke smram_cr4 2006000001000000

	# svm_leave_smm fails before it enters L2
	start_case 002-efer-no-svme shutdown
	poke smram_efer 0005
	# ... and when it has entered L2's VMCB, but has not set nested_run_pending: nobody warns
	start_case 002-vmcb12-cr3-illegal-32-bit "$l1_sees"
	poke vmcb_efer 0010
	poke vmcb_cr4 00060000
	poke vmcb_cr3 0010000000010000
	# VMCB12's other checks are not made: svm_leave_smm lacks them. L2 runs with what SMRAM says, until
	# L1's next VMRUN makes them; its CR0 is L2's by then.
	start_case 002-vmcb12-cr0-nw-without-cd resumes
	poke vmcb_cr0 330001a0
	start_case 002-vmcb12-asid-0 "svm-exit-err # code=0xffffffffffffffff calls=1"
	poke vmcb_asid 00000000
	start_case 002-vmcb12-vmrun-not-intercepted "svm-exit-err # code=0xffffffffffffffff calls=1"
	poke vmcb_intercept4 02
done

on smm-l1-long-nonp
start_case 002-in-l1-good resumes
start_case 002-in-l1-cr0-nw-without-cd shutdown
poke smram_cr0 330001a0

# L1 does not intercept SHUTDOWN
on smm-l2-long-nonp-noshutdown
start_case 002-noshutdown-good resumes
start_case 002-noshutdown-cr0-nw-without-cd shutdown
poke smram_cr0 330001a0

# KVM's 32-bit map, on a vCPU without long mode
on smm-plain-legacy
start_case 002-map32-good resumes
start_case 002-map32-cr0-nw-without-cd shutdown
poke smram32_cr0 330001a0
