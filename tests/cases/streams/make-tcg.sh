#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make-tcg.sh OUT: the streams tcg-*.qemu.zst of this folder, from Debian's QEMU under TCG: forms that the
# emulated hosts do not make. The guest is dirty.S instead of a firmware, so they are small. Needs
# qemu-system-x86, gcc, jq, socat and zstd.
set -euo pipefail

out=$(mkdir -p "$1" && realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pid=
# shellcheck source=../../hosts/qmp.sh
. "$here/../../hosts/qmp.sh"
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$work"' EXIT

capability() {
	qmp migrate-set-capabilities "{\"capabilities\":[{\"capability\":\"$1\",\"state\":true}]}" >/dev/null
}

# start MACHINE OPTIONS...: the VM, running
start() {
	local machine=$1
	shift
	qemu-system-x86_64 -accel tcg -cpu qemu64 -M "$machine" -m 2 -nodefaults -vga none -display none \
		-bios "$work/dirty.bin" -qmp "unix:$work/qmp,server=on,wait=off" "$@" &
	pid=$!
	qmp_open "$work/qmp"
}

# stop NAME: ends the VM, and packs its stream
stop() {
	qmp_close || true # by a signal
	kill "$pid"
	wait "$pid" || true
	pid=
	rm -f "$work/qmp"
	zstd -q -19 -f "$work/$1" -o "$out/$1.zst"
}

# save NAME: migrates into a file
save() {
	qmp_migrate "$work/$1"
	stop "$1"
}

gcc -c -o "$work/dirty.o" "$here/dirty.S"
objcopy -O binary -j .text "$work/dirty.o" "$work/dirty.bin"

start q35
capability xbzrle
# So slow that pages go several times, and at last quick enough to end.
qmp migrate-set-parameters '{"max-bandwidth":1000000,"downtime-limit":1}' >/dev/null
qmp migrate "{\"uri\":\"exec:cat >$work/tcg-xbzrle.qemu\"}" >/dev/null
sleep 4
qmp migrate-set-parameters '{"max-bandwidth":0,"downtime-limit":2000}' >/dev/null
for ((i = 0; i < 100; i++)); do
	[ "$(qmp query-migrate | jq -r .return.status)" != completed ] || break
	sleep 0.1
done
qmp query-migrate | jq -c '.return | {status, xbzrle: ."xbzrle-cache".pages}'
stop tcg-xbzrle.qemu

start q35,suppress-vmdesc=on
save tcg-no-vmdesc.qemu

start q35 -object memory-backend-memfd,id=pc.ram,size=2M,share=on -machine memory-backend=pc.ram
capability x-ignore-shared
save tcg-ignore-shared.qemu

start pc-i440fx-2.3
save tcg-no-footers.qemu

start q35 -uuid 12345678-1234-1234-1234-123456789abc -blockdev null-co,node-name=disk,size=1048576
capability validate-uuid
capability dirty-bitmaps
qmp block-dirty-bitmap-add '{"node":"disk","name":"bitmap","granularity":65536}' >/dev/null
save tcg-bitmaps.qemu

# It writes everything and then waits for an answer.
start q35
capability return-path
capability postcopy-ram
qmp migrate "{\"uri\":\"exec:cat >$work/tcg-return-path.qemu\"}" >/dev/null
sleep 3
stop tcg-return-path.qemu

ls -l "$out"/tcg-*
