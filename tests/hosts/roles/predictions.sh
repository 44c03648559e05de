#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Breaks the raw dump $OUT/raw1 in one place at a time and compares what nestmig foretells with what
# this machine's KVM does with it. $OUT/predictions gets the latter. Environment: NESTMIG, RAWDUMP, OUT.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, file of vcpu0, offset, bytes in hex. Offsets: struct kvm_sregs2, kvm_debugregs, kvm_mp_state
# of Linux's <asm/kvm.h>; in nested_state 128 bytes of header, then the VMCB as in APM volume 2,
# appendix B, whose save area is L1's there. The first ones are harmless.
VARIANTS='
unchanged		regs		136 02
code-not-present	sregs2		15 00
gif-clear		nested_state	0 0100
run-pending		nested_state	0 0301
interrupt-mask		nested_state	227 01
l1-registers-only	nested_state	0 0001
l2-cr0-nw-without-cd	sregs2		224 330001a0
l2-cr0-pg-without-pe	sregs2		224 32
l2-cr3-too-wide		sregs2		246 ff
l2-cr4-reserved		sregs2		248 20060080
l2-cs-l-and-d		sregs2		17 01
l2-efer-no-svme		sregs2		264 0005
dr6-high		debugregs	36 01
dr7-high		debugregs	44 01
format-unknown		nested_state	2 07
size-too-small		nested_state	4 8000
vmcb-unaligned		nested_state	8 01
asid-0			nested_state	216 00
vmrun-not-intercepted	nested_state	144 00
iopm-too-high		nested_state	198 ff
l1-cs-l-and-d		nested_state	1171 0e
l1-cr0-nw-without-cd	nested_state	1496 330001a0
l1-cr0-no-paging	nested_state	1499 00
'

# make_variant NAME FILE OFFSET HEX: only the changed file is a copy. Symbolic links out of a dump are not
# followed.
make_variant() {
	local dir=$work/variants/$1
	mkdir -p "$dir"
	cp -rl "$work"/raw1/. "$dir"
	rm "$dir/vcpu0/$2"
	cp "$work/raw1/vcpu0/$2" "$dir/vcpu0/"
	# shellcheck disable=SC2001 # sed, because the shell has no & for what matched
	printf '%b' "$(sed 's/../\\x&/g' <<<"$4")" |
		dd of="$dir/vcpu0/$2" bs=1 seek="$3" conv=notrunc status=none
}

# One line a variant, "NAME OUTCOME", in the order of the names. KVM_SET_SREGS2 makes the checks of
# KVM_SET_SREGS, and nestmig means both by the latter. A vCPU that runs on without guest mode ("no-call",
# because there is no L1 above it) resumes, too.
observe() {
	local dir
	for dir in "$work"/variants/*; do
		echo "$(basename "$dir") $("$RAWDUMP" run "$dir")"
	done | sed 's/ outcome / /; s/SREGS2/SREGS/; s/ no-call$/ resumes/'
}

foretell() {
	"$NESTMIG" validate --json "$work"/variants/* | jq -r '"\(.file | split("/") | last) \(.vcpus[0] |
		[.outcome, .ioctl, .errno, (if .returns then "returns \(.returns)" else null end)] |
		map(select(.)) | join(" "))"' | sed 's/SREGS2/SREGS/'
}

cp -r "$OUT/raw1" "$work/raw1"
while read -r name file offset bytes; do
	[ -z "$name" ] || make_variant "$name" "$file" "$offset" "$bytes"
done <<<"$VARIANTS"
observe >"$work/seen"
foretell >"$work/foretold"
cp "$work/seen" "$OUT/predictions"
if ! diff "$work/foretold" "$work/seen"; then
	echo "FAILED: < is what nestmig foretold, > what KVM did"
	exit 1
fi
echo "AS FORETOLD: all of $(wc -l <"$work/seen") states, each changed in one place"
