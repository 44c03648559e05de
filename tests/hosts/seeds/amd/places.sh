# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the cases on AMD change: file and offset.

# VMCB12 is at 0x5000; APM volume 2, appendix B "Layout of VMCB".
vmcb() {
	echo "mem/0 $((0x5000 + $1))"
}

# The image of SMRAM, 0x7e00 to 0x7fff of the map, is at 0x3fe00; APM volume 2, 10.2.3 "SMRAM
# State-Save Area".
smram() {
	echo "mem/0 $((0x38000 + $1))"
}

# In nested_state a header of 128 bytes precedes the VMCB.
places+=(
	[l1_clgi]="mem/0 $((0x10000))" # L1's CLGI before VMRUN: rawdump/rawdump_guest_code.S
	[pae_pdpt]="mem/0 $((0xe000))"
	[vmcb_intercept3_high]=$(vmcb 0x00f) [vmcb_intercept4]=$(vmcb 0x010)
	[vmcb_iopm]=$(vmcb 0x040) [vmcb_msrpm]=$(vmcb 0x048) [vmcb_asid]=$(vmcb 0x058)
	[vmcb_exit_info1]=$(vmcb 0x078) [vmcb_nested_cr3]=$(vmcb 0x0b0)
	[vmcb_cs_attrib]=$(vmcb 0x412) [vmcb_efer]=$(vmcb 0x4d0)
	[vmcb_cr4]=$(vmcb 0x548) [vmcb_cr3]=$(vmcb 0x550) [vmcb_cr0]=$(vmcb 0x558)
	[vmcb_dr7]=$(vmcb 0x560) [vmcb_dr6]=$(vmcb 0x568)
	[smram_efer]=$(smram 0x7ed0) [smram_cr4]=$(smram 0x7f48) [smram_cr0]=$(smram 0x7f58)
	[smram32_cr0]=$(smram 0x7ffc)
	[smram_dr7]=$(smram 0x7f60) [smram_dr6]=$(smram 0x7f68)
	[ctl_intercept_exceptions]="vcpu0/nested_state $((128 + 0x008))"
)
