#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make.sh [DIR]: makes the images of this directory anew with the QEMU that is installed (Debian's 7.2), in
# emulation: a guest with two vCPUs, of which the first counts in AX (its firmware is "inc ax" and a jump) and the
# second waits for a SIPI, saved twice with savevm while it is stopped, and at the same moments migrated to a file. README.md says what is what.
set -euo pipefail

out=$(realpath "${1:-$(dirname "$0")}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
head -c 65536 /dev/zero | tr '\0' '\364' >count.bin
printf '\x40\xeb\xfd' | dd of=count.bin bs=1 seek=65520 conv=notrunc status=none

# hmp COMMAND: sends a monitor command, waits for its answer.
hmp() {
	printf '{"execute":"human-monitor-command","arguments":{"command-line":"%s"}}\n' "$1" >&"${QEMU[1]}"
	answer
}

# answer: waits for the next answer; events are skipped.
answer() {
	local line
	while read -r -t 60 line <&"${QEMU[0]}"; do
		case $line in
		*'"error"'*) echo "$line" >&2 && return 1 ;;
		*'"return"'*) return 0 ;;
		esac
	done
	return 1
}

# image NAME OPTIONS: NAME.qcow2 with two snapshots, and their streams NAME-alpha.qemu, NAME-beta.qemu.
image() {
	local snapshot
	qemu-img create -q -f qcow2 -o "$2" "$1.qcow2" 1M
	coproc QEMU { exec qemu-system-x86_64 -accel tcg -cpu qemu64,+svm -smp 2 -m 2 -machine pc -bios count.bin \
		-nodefaults -display none -qmp stdio -drive file="$1.qcow2",if=none,id=d -device ide-hd,drive=d; }
	printf '{"execute":"qmp_capabilities"}\n' >&"${QEMU[1]}"
	answer
	for snapshot in alpha beta; do
		hmp stop
		hmp "savevm $snapshot"
		hmp "migrate -d exec:cat>$1-$snapshot.qemu"
		sleep 2
		hmp cont
		sleep 1
	done
	hmp quit || true
	wait
}

image plain cluster_size=65536
image v2 compat=0.10,cluster_size=4096
image extended extended_l2=on,cluster_size=16384
image small cluster_size=512
image large cluster_size=2M
for file in plain-alpha.qemu plain-beta.qemu plain.qcow2 v2.qcow2 extended.qcow2 small.qcow2 large.qcow2; do
	zstd -q -19 -f "$file" -o "$out/$file.zst"
done
for file in *.qcow2; do qemu-img snapshot -l "$file"; done
