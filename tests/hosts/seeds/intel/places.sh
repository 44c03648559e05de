# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # hosts and RAWDUMP are set by seeds.sh
#
# What the cases on Intel change: file, offset and width. Fields of the VMCS12 are called vmcs_NAME and
# those of KVM's 64-bit map of SMRAM smram_NAME, with the names of nestmig's own tables.

# field_places TABLE PREFIX START FILE BASE: rows "START offset, width, name, ..." of nestmig's table
field_places() {
	local offset width name
	while read -r offset width name; do
		places[$2$name]="$4 $(($5 + offset)) $width"
	done < <(sed -n "s/^$3//p" "$hosts/../../lib/$1" | tr -d ' ' |
		awk -F, '$2 ~ /^[0-9]+$/ { print $1, $2, $3 }')
}

# In nested_state a header of 128 bytes precedes the VMCS12. SMBASE is 0x30000.
field_places vmcs/layout.def vmcs_ "VMCS_FIELD(" vcpu0/nested_state 128
field_places smram/layout.def smram_ "SMRAM_FIELD(smram64," mem/0 $((0x30000))

# struct kvm_sregs2: eight struct kvm_segment of 24 bytes, then the tables
sregs_segments=(cs ds es fs gs ss tr ldtr)
for i in "${!sregs_segments[@]}"; do
	places[sregs_${sregs_segments[i]}]="vcpu0/sregs2 $((24 * i))"
done
places+=(
	[sregs_cr0]="vcpu0/sregs2 224 8" [sregs_cr4]="vcpu0/sregs2 248 8"
	[sregs_efer]="vcpu0/sregs2 264 8"
	# struct kvm_regs
	[regs_r8]="vcpu0/regs 64 8" [regs_rflags]="vcpu0/regs 136 8"
	[smram32_cr0]="mem/0 $((0x3fffc)) 4"
)

# The code of the guests starts at 0x10000: code_place SYMBOL BYTES
code_place() {
	local start symbol
	start=$(nm "$RAWDUMP" | awk '$3 == "guest_code" { print $1 }')
	symbol=$(nm "$RAWDUMP" | awk -v name="$1" '$3 == name { print $1 }')
	echo "mem/0 $((0x10000 + 16#$symbol - 16#$start + $2))"
}

# Where L2 clears EAX for its VMFUNC, after it has counted.
places[eptp_function]=$(code_place guest_vmx_eptp 11)
