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

# start IMAGE: starts QEMU with this image as its disk.
start() {
	coproc QEMU { exec qemu-system-x86_64 -accel tcg -cpu qemu64,+svm -smp 2 -m 2 -machine pc -bios count.bin \
		-nodefaults -display none -qmp stdio -drive file="$1",if=none,id=d -device ide-hd,drive=d; }
	printf '{"execute":"qmp_capabilities"}\n' >&"${QEMU[1]}"
	answer
}

# save IMAGE NAME...: snapshots with VM state.
save() {
	local name
	start "$1"
	for name in "${@:2}"; do
		hmp "savevm $name"
	done
	hmp quit || true
	wait
}

# image NAME OPTIONS: NAME.qcow2 with two snapshots, and their streams NAME-alpha.qemu, NAME-beta.qemu.
image() {
	local snapshot
	qemu-img create -q -f qcow2 -o "$2" "$1.qcow2" 1M
	start "$1.qcow2"
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

# Over a disk that is longer than where the VM state starts.
qemu-img create -q -f raw base.raw 1G
qemu-img create -q -f qcow2 -b base.raw -F raw backing.qcow2 1M
save backing.qcow2 alpha
# Data in compressed clusters, with a compression type that is an incompatible feature.
seq 20000 >data.raw
qemu-img convert -q -c -f raw -O qcow2 -o compression_type=zstd,cluster_size=4096 data.raw compressed.qcow2
save compressed.qcow2 alpha
# The dirty bit: QEMU is killed with reference counts that it had not written.
qemu-img create -q -f qcow2 -o lazy_refcounts=on dirty.qcow2 1M
start dirty.qcow2
hmp "savevm alpha"
hmp 'qemu-io d \"write 0 64k\"'
kill -9 "$QEMU_PID"
wait || true
# Names that are there twice, and that are an id, too.
qemu-img create -q -f qcow2 names.qcow2 1M
save names.qcow2 alpha beta
qemu-img snapshot -c beta names.qcow2
qemu-img snapshot -c 1 names.qcow2
# Snapshots of the disk alone; no snapshot; no data.
qemu-img create -q -f qcow2 disk.qcow2 1M
qemu-img snapshot -c first disk.qcow2
qemu-img snapshot -c second disk.qcow2
qemu-img create -q -f qcow2 none.qcow2 1M
qemu-img create -q -f qcow2 -o data_file=data-file.raw data-file.qcow2 1M
qemu-img create -q -f qcow2 --object secret,id=s,data=secret -o encrypt.format=aes,encrypt.key-secret=s aes.qcow2 1M
qemu-img create -q -f qcow2 --object secret,id=s,data=secret -o encrypt.format=luks,encrypt.key-secret=s \
	-o encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain64,encrypt.iter-time=10 luks.qcow2 1M

for file in plain-alpha.qemu plain-beta.qemu {plain,v2,extended,small,large}.qcow2 \
	{backing,compressed,dirty,names,disk,none,data-file,aes,luks}.qcow2; do
	zstd -q -19 -f "$file" -o "$out/$file.zst"
done
for file in {plain,v2,extended,small,large,backing,compressed,dirty,names,disk}.qcow2; do
	qemu-img snapshot -l "$file"
done
