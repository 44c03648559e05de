#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make.sh DUMP DIR: writes a raw KVM dump (nestmig-raw-dump(5)) of one vCPU in the form of a cloud-hypervisor
# snapshot, as 49.0 and later write it: a writer of our own, not cloud-hypervisor. Without arguments: makes
# the directories beside it anew, from ../raw-dump and ../raw-dump-vmx.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

# numbers FILE: the bytes of a file, separated by commas.
numbers() {
	od -An -v -tu1 -w1 "$1" | tr -d ' ' | paste -sd,
}

# padded FILE SIZE: the same, with zeros up to SIZE bytes.
padded() {
	{ cat "$1" && head -c $(($2 - $(stat -c %s "$1"))) /dev/zero; } | numbers /dev/stdin
}

# The lists, with 64-bit numbers as serde_json writes them: unsigned.
msrs() {
	od -An -v -tu8 -w16 "$1" | awk '{printf "%s{\"index\":%s,\"data\":%s}", n++ ? "," : "", $1, $2}'
}

cpuid() {
	od -An -v -tu4 -w40 "$1" | awk '{printf "%s{\"function\":%s,\"index\":%s,\"flags\":%s,\"eax\":%s,\"ebx\":%s,\"ecx\":%s,\"edx\":%s}",
		n++ ? "," : "", $1, $2, $3, $4, $5, $6, $7}'
}

# times N TEXT: N copies of a text, separated by commas.
times() {
	yes "$2" | head -n "$1" | paste -sd,
}

# events FILE: struct kvm_vcpu_events without the two flags that KVM sets where the VMM has enabled
# KVM_CAP_EXCEPTION_PAYLOAD and KVM_CAP_X86_TRIPLE_FAULT_EVENT, which cloud-hypervisor does not.
events() {
	numbers "$1" | awk -F, -v OFS=, '{$21 = $21 % 16; print}'
}

fpu() {
	printf '{"fpr":[%s],"fcw":895,"fsw":0,"ftwx":0,"last_opcode":0,"last_ip":0,"last_dp":0,"xmm":[%s],"mxcsr":8064}' \
		"$(times 8 "[$(times 16 0)]")" "$(times 16 "[$(times 16 0)]")"
}

vcpu() {
	local d=$1/vcpu0
	printf '{"Kvm":{"cpuid":[%s],"msrs":[%s],"vcpu_events":[%s],"regs":[%s],"sregs":[%s],"fpu":%s' \
		"$(cpuid "$d/cpuid")" "$(msrs "$d/msrs")" "$(events "$d/vcpu_events")" "$(numbers "$d/regs")" \
		"$(numbers "$d/sregs")" "$(fpu)"
	printf ',"lapic_state":{"regs":[%s]},"xsave":{"region":[%s]},"xcrs":[%s],"mp_state":[%s]' \
		"$(od -An -v -td1 -w1 "$d/lapic" | tr -d ' ' | paste -sd,)" \
		"$(od -An -v -tu4 -w4 "$d/xsave" | tr -d ' ' | paste -sd,)" "$(numbers "$d/xcrs")" "$(numbers "$d/mp_state")"
	printf ',"tsc_khz":2400000,"nested_state":[%s],"hyperv_synic":false}}' "$(padded "$d/nested_state" 8320)"
}

mapping() {
	printf '{"slot":%d,"gpa":%d,"size":%d,"zone_id":"mem0","virtio_mem":false,"file_offset":0}' "$1" "$2" "$3"
}

# memory DUMP FILE: what the memory manager says; the bytes go to FILE.
memory() {
	local name ranges='' mappings='' slot=0 gpa size
	: >"$2"
	for name in $(cd "$1/mem" && ls | sort); do
		gpa=$((16#${name%.zst}))
		case $name in
		*.zst) zstd -qdc "$1/mem/$name" >"$2.part" ;;
		*) cp "$1/mem/$name" "$2.part" ;;
		esac
		size=$(stat -c %s "$2.part")
		cat "$2.part" >>"$2" && rm "$2.part"
		ranges+=${ranges:+,}'{"gpa":'$gpa',"length":'$size'}'
		mappings+=${mappings:+,}$(mapping $slot $gpa $size)
		slot=$((slot + 1))
	done
	# Where the dump is of a part of the RAM, the rest is there, but not saved.
	grep -q '"memory_complete": true' "$1/meta.json" || mappings=$(mapping 0 0 1048576)
	printf '{"memory_ranges":{"data":[%s]},"guest_ram_mappings":[%s],"start_of_device_area":4294967296,"boot_ram":1048576' \
		"$ranges" "$mappings"
	printf ',"current_ram":1048576,"arch_mem_regions":[],"hotplug_slots":[],"next_memory_slot":%d,"selected_slot":0,"next_hotplug_slot":0}' \
		"$slot"
}

quoted() {
	sed 's/["\\]/\\&/g; s/^/"/; s/$/"/'
}

snapshot() {
	mkdir -p "$2"
	{
		printf '{"snapshots":{"cpu-manager":{"snapshots":{"0":{"snapshots":{},"snapshot_data":{"state":%s}}},"snapshot_data":null},' \
			"$(vcpu "$1" | quoted)"
		printf '"memory-manager":{"snapshots":{},"snapshot_data":{"state":%s}}},' "$(memory "$1" "$2/memory-ranges" | quoted)"
		printf '"snapshot_data":{"state":%s}}\n' "$(printf '{"clock":null}' | quoted)"
	} >"$2/state.json"
	printf '{"cpus":{"boot_vcpus":1,"max_vcpus":1,"nested":true},"memory":{"size":1048576},"fs":null,"pmem":null,"devices":null,"user_devices":null}\n' \
		>"$2/config.json"
}

if [ $# = 2 ]; then
	snapshot "$1" "$2"
	exit
fi
for name in svm vmx; do
	dump=$here/../raw-dump
	[ $name = svm ] || dump+=-vmx
	rm -rf "${here:?}/$name"
	snapshot "$dump" "$here/$name"
	zstd -q -19 --rm "$here/$name/state.json" "$here/$name/memory-ranges"
done
