# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # host and ept are set by seeds.sh
#
# Seed 002: L2 is active, an SMI comes to L1, its handler's RSM fails. vmx_leave_smm has re-entered L2 by
# then and set nested_run_pending: KVM 6.1 warns in nested_vmx_vmexit, leaves L2 with a triple fault, and
# then finds the flag still set at L1's first exit, which gives the whole VM up. What fails before that is
# a shutdown.

l1_sees="run-error EIO"

rsm_fails() {
	start_case "002-$1" "$l1_sees"
	warns
}

for variant in "smm-l2-long-$ept"; do
	on "$variant"
	start_case 002-good resumes

	# rsm_load_state_64 fails: nested_run_pending is set
	rsm_fails cr0-nw-without-cd
	put smram_cr0 0xa0010033
	rsm_fails cr4-reserved
	put smram_cr4 $((0x80002620))
	rsm_fails cr4-no-pae
	put smram_cr4 0x2600
	# vmx_is_valid_cr4: in VMX operation CR4.VMXE is 1
	rsm_fails cr4-no-vmxe
	put smram_cr4 0x620
	rsm_fails efer-reserved
	put smram_efer 0x9500
	rsm_fails dr6-high
	put smram_dr6 0x1ffff0ff0
	rsm_fails dr7-high
	put smram_dr7 0x100000400

	# The emulator takes the low half of CR0 and CR4 only (mk_cr_64).
	start_case 002-cr0-high resumes
	put smram_cr0 0x180010033
	start_case 002-cr4-high resumes
	put smram_cr4 0x100002620

	# vmx_leave_smm fails before it has entered L2: nobody warns. On the way CR0.PE was set, and where
	# KVM has no unrestricted guest it takes L1 for one that it cannot run (vmx_vcpu_pre_run).
	start_case 002-vmcs12-cr3-illegal \
		"$([ "$host" = ept1 ] && echo shutdown || echo internal-error)"
	put vmcs_guest_cr3 0x10000000001000
	# Nor does it look at what a VM entry checks: L2 goes on with what SMRAM says, until L1's next VM entry.
	start_case 002-vmcs12-cr0-nw-without-cd resumes
	put vmcs_guest_cr0 0xa0010033
	# ... and no exit of L2 gets to an L1 whose state cannot be loaded
	start_case 002-vmcs12-host-cr3-illegal "shutdown # counts=2"
	put vmcs_host_cr3 0x10000000001000
	start_case 002-vmcs12-pin-reserved "vmfail-7 # calls=1"
	put vmcs_pin_based_vm_exec_control 0
	names vmx-pin-allowed0
done

on "smm-l1-long-$ept"
start_case 002-in-l1-good resumes
start_case 002-in-l1-cr0-nw-without-cd shutdown
put smram_cr0 0xa0010033

# KVM's 32-bit map, on a vCPU without long mode
on smm-plain-legacy
start_case 002-map32-good resumes
start_case 002-map32-cr0-nw-without-cd shutdown
put smram32_cr0 0xa0010033
