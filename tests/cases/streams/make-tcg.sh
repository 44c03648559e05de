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

end() {
	qmp_close || true # by a signal
	kill "$pid"
	wait "$pid" || true
	pid=
	rm -f "$work/qmp"
}

# stop NAME: ends the VM, and packs its stream
stop() {
	end
	zstd -q -19 -f "$work/$1" -o "$out/$1.zst"
}

# save NAME: migrates into a file
save() {
	qmp_migrate "$work/$1"
	stop "$1"
}

# save_large NAME: the same where most of it are zero pages: records of nine bytes that differ by an address
save_large() {
	qmp_migrate "$work/$1"
	end
	xz -T1 --delta=dist=9 --lzma2=preset=1 -c "$work/$1" >"$out/$1.xz"
	rm "$work/$1"
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

# Guests that never run, with RAM above 4 GiB: all zeros but for pages that say where they are.
place() {
	printf 'page %#x\n' "$1" | dd of="$work/$1" bs=4096 conv=sync status=none
	echo "-device loader,force-raw=on,addr=$1,file=$work/$1"
}

# shellcheck disable=SC2046
start q35 -m 3G -S $(place 0x7fffe000) $(place 0x100000000) $(place 0x13ffff000)
save_large tcg-high.qemu

# shellcheck disable=SC2046
start pc -m 3584M -S $(place 0xbfffe000) $(place 0x100000000) $(place 0x11ffff000)
save_large tcg-high-i440fx.qemu

# The second node is larger, so that its block comes first, and lies on both sides of the hole.
# shellcheck disable=SC2046
start q35 -m 3G -S $(place 0x3ffff000) $(place 0x40000000) $(place 0x7fffe000) $(place 0x100000000) \
	-object memory-backend-ram,id=ram-node0,size=1G -numa node,memdev=ram-node0 \
	-object memory-backend-ram,id=ram-node1,size=2G -numa node,memdev=ram-node1
save_large tcg-numa.qemu

# shellcheck disable=SC2046
start q35,max-ram-below-4g=64M -m 128M -S $(place 0x3fff000) $(place 0x100000000)
save_large tcg-max-ram.qemu

# shellcheck disable=SC2046
start q35,memory-backend=mem -m 3G -S $(place 0x100000000) -object memory-backend-ram,id=mem,size=3G
save_large tcg-backend.qemu

ls -l "$out"/tcg-*
