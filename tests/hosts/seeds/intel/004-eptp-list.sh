# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # host is set by seeds.sh
#
# Seed 004: what an entry of L1's EPTP list does when L2 takes it with VMFUNC. One that a VM entry would
# refuse is a VM exit 59. One that is valid and leads to no RAM is not: on KVM 6.1 it is a triple fault of
# L2 (mmu_check_root), though the switch succeeds and the next access should fail.

# entry INDEX VALUE: L2's next VMFUNC takes entry INDEX, which is VALUE
entry() {
	put regs_r8 "$1"
	[ "$1" -ge 512 ] || echo "poke mem/0 $((0x19000 + 8 * $1)) $(little_endian "$2" 8)" >>"$case_file"
}

# bad_entry NAME INDEX VALUE RULE: VM exit 59
bad_entry() {
	start_case "004-$1" vmfunc-exit-59
	entry "$2" "$3"
	names "vmx-vmfunc-entry-$4" "$(printf 'ntry %d is 0x%x' "$2" "$3")"
}

root=$((0x1205e)) other_root=$((0x1e05e)) # write-back, a walk of four tables, accessed and dirty

eptp_cases() {
	start_case 004-good resumes
	start_case 004-other-root resumes
	entry 5 $other_root
	start_case 004-last resumes
	entry 511 $other_root
	start_case 004-no-accessed-dirty resumes
	entry 7 $((root & ~0x40))

	# KVM offers no uncached tables
	bad_entry uncached 8 $((root & ~7)) memtype
	# What is unused is not worth a word of nestmig.
	start_case 004-zero vmfunc-exit-59
	entry 9 0
	bad_entry walk-length-5 10 $((root | 0x20)) walk
	bad_entry walk-length-3 11 $((0x12056)) walk
	bad_entry memory-type-1 12 $((0x12059)) memtype
	bad_entry memory-type-7 13 $((root | 7)) memtype
	bad_entry bit-7 14 $((root | 0x80)) reserved
	bad_entry bit-11 15 $((root | 0x800)) reserved
	bad_entry bit-51 16 $((root | 1 << 51)) width
	bad_entry bit-40 511 $((root | 1 << 40)) width
	# The entry that is in use already is not looked at, L1's own EPTP was.
	start_case 004-index-512 vmfunc-exit-59
	entry 512 0
	start_case 004-index-all-ones vmfunc-exit-59
	put regs_r8 0xffffffff

	# Valid, but not RAM
	start_case 004-not-ram triple-fault-to-l1
	entry 20 $((0x10000005e))
	names vmx-vmfunc-entry-root-backed "ntry 20 is 0x10000005e"
	start_case 004-list-not-ram vmfunc-exit-59
	put vmcs_eptp_list_address 0x100000000
	names vmx-vmfunc-list-backed
	# RAM, but not page tables
	start_case 004-empty-tables "l1-exit 48"
	entry 21 $((0x2005e))
	start_case 004-misconfigured ept-misconfig
	entry 22 $((0x2005e))
	echo "poke mem/0 $((0x20000)) $(little_endian $((0x13002)) 8)" >>"$case_file"

	# L2's EAX: the instruction before sets it. Functions from 1 on are not enabled, above 63 there are none.
	start_case 004-function-1 vmfunc-exit-59
	poke eptp_function b001
	start_case 004-function-63 vmfunc-exit-59
	poke eptp_function b03f
	start_case 004-function-64 "resumes # exceptions=1 vector=6"
	poke eptp_function b040
}

if [ "$host" = ept1 ]; then
	on eptplist-long
	eptp_cases
fi
