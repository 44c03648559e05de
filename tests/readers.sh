#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# readers.sh BUILD ARTEFACTS: `nestmig validate` on genuine files of the emulated hosts, whole, cut
# short and with bytes flipped. A damaged file must give exit status 2 and an offset where damage can
# be seen (every .nms, the structure of a stream), and never a crash or a hang.
set -euo pipefail

build=$1 artefacts=$2
nestmig=$build/cmd/nestmig
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trouble=0

complain() {
	echo "$*"
	trouble=1
}

# run FILE: exit status of validate in $status, what it said in $said
run() {
	status=0
	said=$(timeout 20 "$nestmig" validate "$1" 2>&1) || status=$?
	[ $status -le 2 ] || complain "$1: exit status $status: $(tail -n 3 <<<"$said")"
}

whole() {
	local file=$1 vcpus=$2 mode=$3 json
	json=$("$nestmig" validate --json "$file") || complain "$file: a genuine state has findings: $json"
	[ "$(jq '.vcpus | length' <<<"$json")" = "$vcpus" ] || complain "$file: not $vcpus vCPUs"
	[ "$(jq -r '[.vcpus[].mode] | unique | join(" ")' <<<"$json")" = "$mode" ] ||
		complain "$file: not all vCPUs are in mode $mode"
	[ "$(jq -r .verdict <<<"$json")" != fail ] || complain "$file: verdict fail"
	"$nestmig" inspect "$file" >"$work/inspect" || complain "$file: inspect fails"
	"$nestmig" inspect --json "$file" | jq -e .vcpus >/dev/null || complain "$file: inspect --json fails"
	echo "$file: $vcpus vCPU(s), $mode"
}

must_refuse() {
	run "$1"
	[ $status = 2 ] || complain "$2: exit status $status, not 2"
	grep -q 'at byte [0-9]' <<<"$said" || complain "$2: no offset in: $said"
}

# cuts FILE: cut at many places, more of them near both ends
cuts() {
	local size at file=$1
	size=$(stat -c %s "$file")
	for at in 0 1 7 8 9 40 100 $((size / 4)) $((size / 3)) $((size / 2)) $((size * 2 / 3)) \
		$((size - 50000)) $((size - 5000)) $((size - 300)) $((size - 30)) $((size - 2)) $((size - 1)); do
		[ $at -ge 0 ] && [ $at -lt "$size" ] || continue
		head -c $at "$file" >"$work/cut"
		must_refuse "$work/cut" "$(basename "$file") cut at $at"
	done
	echo "$file: cut short, always refused"
}

flip() {
	local file=$1 at=$2 byte
	cp "$file" "$work/flipped"
	byte=$(od -An -tu1 -j "$at" -N 1 "$file")
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\x$(printf %02x $((byte ^ 0x41)))" |
		dd of="$work/flipped" bs=1 seek="$at" conv=notrunc status=none
}

# flips FILE COUNT must|may: single bytes at places that a fixed seed gives
flips() {
	local file=$1 count=$2 kind=$3 size at i refused=0
	size=$(stat -c %s "$file")
	RANDOM=4711
	for ((i = 0; i < count; i++)); do
		at=$(((RANDOM * 32768 + RANDOM) % size))
		flip "$file" $at
		if [ "$kind" = must ]; then
			must_refuse "$work/flipped" "$(basename "$file") flipped at $at"
		else
			run "$work/flipped"
		fi
		[ $status != 2 ] || refused=$((refused + 1))
	done
	echo "$file: $count flips, $refused refused"
}

a=$artefacts/A
whole "$a/full1.qemu" 1 L2
whole "$a/full2.qemu" 2 L2
whole "$a/dev1.qemu" 1 L2
whole "$a/dev2.qemu" 2 L2
whole "$a/l1only.qemu" 1 L1
whole "$a/raw1" 1 L2
whole "$a/guest1.nms" 1 L2
whole "$a/guest2.nms" 2 L2
for file in "$a"/full1.qemu "$a"/dev1.qemu "$a"/dev2.qemu "$a"/guest1.nms; do
	cuts "$file"
done
flips "$a/guest1.nms" 150 must
flips "$a/full1.qemu" 100 may
flips "$a/dev1.qemu" 150 may
exit $trouble
