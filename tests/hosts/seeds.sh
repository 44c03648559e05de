#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seeds.sh OUTDIR [KERNEL WORDS]: the kernel threads that the project grew from, as named tests on real
# KVM: what each case of seeds/*.sh must do, and what it does on an emulated host, always: what is
# expected is what Debian's kernel does. A case that does otherwise fails. With "kvm_amd.npt=0" the
# dumps whose L1 uses nested paging are left out.
#
# OUTDIR/seeds/VARIANT/NAME gets each case as a raw KVM dump with a file "expected": the outcome, with
# ioctl and errno. With BUILD in the environment, what BUILD/cmd/nestmig foretells of it is compared: any
# exit to L1 other than a failed entry or a shutdown is a vCPU that resumes, and so is one that is in L1 or
# SMM now and whose L1 executes a VMRUN later that fails.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 1 ] || fail "usage: seeds.sh OUTDIR [KERNEL WORDS]"
EMULATE=1

# VMCB12 is at 0x5000; APM volume 2, appendix B "Layout of VMCB".
vmcb() {
	echo "mem/0 $((0x5000 + $1))"
}

# The image of SMRAM, 0x7e00 to 0x7fff of the map, is at 0x3fe00; APM volume 2, 10.2.3 "SMRAM
# State-Save Area".
smram() {
	echo "mem/0 $((0x38000 + $1))"
}

# What the cases change: file and offset. In nested_state a header of 128 bytes precedes the VMCB.
declare -A places=(
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
	# struct kvm_vcpu_events
	[event_exception]="vcpu0/vcpu_events 0" [event_flags]="vcpu0/vcpu_events 20"
	[event_triple_fault]="vcpu0/vcpu_events 28" [event_has_payload]="vcpu0/vcpu_events 55"
)

# ---- the language of seeds/*.sh ----

# on VARIANT: the dump that the next cases change
on() {
	case_file=$out/cases/$1.cases
	touch "$case_file"
}

# start_case NAME "OUTCOME WORDS # DETAIL=VALUE ...": what follows belongs to it
start_case() {
	printf 'case %s\nexpect %s\n' "$1" "$2" >>"$case_file"
}

# poke PLACE HEX
poke() {
	[ -n "${places[$1]:-}" ] || fail "seeds name $1, which is no place"
	echo "poke ${places[$1]} $2" >>"$case_file"
}

# In QEMU's order: nested state before events.
in_qemu_order() {
	printf 'restore_order KVM_SET_CPUID2,KVM_SET_SREGS2,KVM_SET_NESTED_STATE,KVM_SET_REGS,KVM_SET_XSAVE,%s\n' \
		KVM_SET_MSRS,KVM_SET_VCPU_EVENTS,KVM_SET_MP_STATE,KVM_SET_DEBUGREGS >>"$case_file"
}

# The kernel warns (once a boot, so this case runs alone).
warns() {
	echo "# warns" >>"$case_file"
}

# little_endian VALUE BYTES
little_endian() {
	local i text=
	for ((i = 0; i < $2; i++)); do
		text+=$(printf '%02x' $((($1 >> 8 * i) & 255)))
	done
	echo "$text"
}

write_cases() {
	local file
	for file in "$hosts"/seeds/*.sh; do
		# shellcheck source=/dev/null
		. "$file"
	done
}

# ---- the comparison ----

# Prints what differs of VARIANT; the details that are expected must be among those seen.
compare() {
	awk -v variant="$1" '
	function words(text) { sub(/ *#.*/, "", text); return text }
	function details(text) { return text ~ /#/ ? substr(text, index(text, "#") + 1) " " : "" }
	NR == FNR && $1 == "case" { name = $2; names[++count] = name; next }
	NR == FNR && $1 == "expect" { sub(/^expect /, ""); expected[name] = $0; next }
	NR == FNR && /^# warns/ { warns[name] = "WARN"; next }
	NR == FNR { next }
	$2 == "warned" { warned[$1] = "WARN"; next }
	{ name = $1; sub(/^[^ ]* outcome /, ""); seen[name] = $0 }
	END {
		for (i = 1; i <= count; i++) {
			name = names[i]
			good = words(seen[name]) == words(expected[name]) && warns[name] == warned[name]
			n = split(details(expected[name]), wanted, " ")
			for (j = 1; j <= n; j++)
				good = good && index(details(seen[name]), " " wanted[j] " ")
			if (good) {
				print "ok " variant ": " name
				continue
			}
			print "FAILED " variant ": " name ": expected \"" expected[name] " " warns[name] \
				"\", seen \"" seen[name] " " warned[name] "\""
		}
	}' "$out/cases/$1.cases" "$out/$1.seen"
}

# The dumps that nestmig is to foretell, for whoever compares; no KVM is needed for that.
write_dumps() {
	local name words
	mkdir -p "$out/seeds/$1"
	"$RAWDUMP" apply "$out/bases/$1" "$out/cases/$1.cases" "$out/seeds/$1" || return
	awk '$1 == "case" { name = $2 }
		$1 == "expect" { sub(/^expect /, ""); sub(/ *#.*/, ""); print name, $0 }' \
		"$out/cases/$1.cases" |
		while read -r name words; do
			echo "$words" >"$out/seeds/$1/$name/expected"
		done
}

# What nestmig foretells of the dumps of VARIANT.
foretell() {
	local dump expected
	for dump in "$out/seeds/$1"/*/; do
		expected=$(<"$dump/expected")
		"$BUILD/cmd/nestmig" validate --json "$dump" |
			jq -r --arg expected "$expected" --arg name "$1: $(basename "$dump")" '.vcpus[0] |
			([.outcome, .ioctl // empty, .errno // empty] | join(" ")) as $foretold |
			(if ($expected | startswith("l1-exit")) then "resumes"
			elif $expected == "svm-exit-err" and .mode != "L2" then "resumes"
			else $expected end) as $due |
			if .verdict != "unknown" and .certain and $foretold == $due then "foretold " + $name
			else "FAILED \($name): \($expected), but nestmig foretells \(.verdict) \($foretold)" end'
	done
}

rm -rf "$1"
mkdir -p "$1/cases" "$1/bases"
out=$(realpath "$1")
build_guest
write_cases
ran=yes
run_role seeds.sh "$out" "${2:-}" || ran=no
for file in "$out"/cases/*.cases; do
	variant=$(basename "$file" .cases)
	[ -e "$out/bases/$variant" ] || continue
	compare "$variant"
	write_dumps "$variant" || echo "FAILED $variant: cannot write the dumps"
	[ -z "${BUILD:-}" ] || foretell "$variant"
done >"$out/result"
grep '^FAILED' "$out/result"
passed=$(grep -c '^ok' "$out/result")
failed=$(grep -c '^FAILED' "$out/result")
foretold=$(grep -c '^foretold' "$out/result")
echo "seeds: $passed cases as expected, $foretold foretold, $failed not"
[ -z "${BUILD:-}" ] || [ "$foretold" = "$passed" ] || failed=1
[ $ran = yes ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
