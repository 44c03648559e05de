# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Seed 001: each way in which VMRUN fails, in L1's own VMRUN with GIF set. L1 sees exit code -1, exit
# information 0 and GIF clear, whatever the check was. KVM 6.1 (of Debian: with the backport that
# clears GIF) fails early, before L2's state is loaded, or late, by a whole #VMEXIT.
#
# KVM writes both halves of the exit code as ones. A processor (here: TCG, high half 0) that fails
# VMRUN itself is not what these are about.

failed='svm-exit-err # code=0xffffffffffffffff info1=0x0 info2=0x0 gif=0'

# vmrun_case NAME [EXPECTED]: what follows changes VMCB12.
vmrun_case() {
	start_case "001-$1" "${2:-$failed}"
	poke l1_clgi 909090
	poke vmcb_exit_info1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
}

for variant in l1-long-nonp l1-long-np; do
	on $variant
	vmrun_case good resumes
	vmrun_case gif-was-clear
	poke l1_clgi 0f01dd
	poke vmcb_asid 00000000

	# Early: nested_vmcb_check_controls
	vmrun_case vmrun-not-intercepted
	poke vmcb_intercept4 02
	vmrun_case asid-0
	poke vmcb_asid 00000000
	vmrun_case msrpm-too-high
	poke vmcb_msrpm 0000000000010000
	vmrun_case iopm-too-high
	poke vmcb_iopm 00f0ffffff000000
	if [ $variant = l1-long-np ]; then
		vmrun_case nested-cr3-illegal
		poke vmcb_nested_cr3 0020010000010000
	fi

	# Early: nested_vmcb_check_save
	vmrun_case efer-no-svme
	poke vmcb_efer 0005
	vmrun_case efer-reserved
	poke vmcb_efer 0095
	vmrun_case cr0-nw-without-cd
	poke vmcb_cr0 330001a0
	vmrun_case cr0-high
	poke vmcb_cr0 3300018001000000
	vmrun_case cr4-reserved
	poke vmcb_cr4 20060080
	vmrun_case cr4-no-pae
	poke vmcb_cr4 00060000
	vmrun_case cr0-no-pe
	poke vmcb_cr0 32000180
	vmrun_case cr3-illegal-long-mode
	poke vmcb_cr3 0010000000010000
	vmrun_case cs-l-and-d
	poke vmcb_cs_attrib 9b0e
	vmrun_case dr6-high
	poke vmcb_dr6 f00fffff01
	vmrun_case dr7-high
	poke vmcb_dr7 0004000001

	# Late: nested_svm_load_cr3, for what the early check does not look at without long mode
	vmrun_case cr3-illegal-32-bit
	poke vmcb_efer 0010
	poke vmcb_cr4 00060000
	poke vmcb_cr3 0010000000010000
	vmrun_case cr3-illegal-real-mode
	poke vmcb_efer 0010
	poke vmcb_cr0 30000000
	poke vmcb_cr3 0010000000010000
	if [ $variant = l1-long-nonp ]; then
		vmrun_case pae-pdpte-reserved
		poke vmcb_efer 0010
		poke vmcb_cr3 00e0000000000000
		poke pae_pdpt 0301
		# A page that is no RAM reads as ones or not at all, depending on the kernel: fails.
		vmrun_case pae-pdpt-not-ram
		poke vmcb_efer 0010
		poke vmcb_cr3 0000100000000000
	fi

	# Late: nested_svm_vmrun_msrpm. Not intercepted, it is never read.
	vmrun_case msrpm-not-ram
	poke vmcb_intercept3_high 90
	poke vmcb_msrpm 0000100000000000
	vmrun_case msrpm-not-ram-not-intercepted resumes
	poke vmcb_msrpm 0000100000000000
done
