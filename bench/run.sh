#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD: measurements, each as a ratio to something real in the same run. Nothing here passes or
# fails on a time; the assertions are on counts: judging must not allocate memory, and the bytes read must
# not grow with RAM.
set -euo pipefail

build=$1
here=$(cd "$(dirname "$0")" && pwd)
nestmig=$build/cmd/nestmig
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== Judging (lib/judge.c), one core"
stream=$work/full.qemu
zstd -q -d -c "$here"/../tests/cases/streams/full1.qemu.zst >"$stream"
"$nestmig" host --root "$here/../tests/cases/host-amd-6.1" --save "$work/host.json"
"$build/bench/bench-judge" "$stream" "$work/host.json"
# In SMM other rules apply, and they read more.
cp -r "$here/../tests/cases/smm-l2" "$work/smm-l2"
zstd -q -d --rm "$work"/smm-l2/mem/*.zst
"$build/bench/bench-judge" "$work/smm-l2" "$work/host.json"
# VMX, for the host that made the dump.
cp -r "$here/../tests/cases/raw-dump-vmx" "$work/vmx"
zstd -q -d --rm "$work"/vmx/mem/0.zst
"$build/bench/bench-judge" "$work/vmx"

echo
echo "== validate on a full stream: bytes read, by size of RAM (strace)"
size=$(stat -c %s "$stream")
# The head with the RAM block list, a hole as large as RAM would be, the device state at the end.
before=
for gib in 1 16 256; do
	file=$work/$gib.qemu
	head -c 65536 "$stream" >"$file"
	truncate -s $((gib << 30 | 65536)) "$file"
	tail -c $((size - 65536)) "$stream" >>"$file"
	strace -f -e trace=pread64 -o "$work/trace" "$nestmig" validate "$file" >/dev/null
	# The dynamic linker uses pread64 too, before anything is opened by the program itself.
	bytes=$(awk '{n += $NF} END {print n}' "$work/trace")
	printf '%5d GiB of RAM: %9d bytes read with pread64\n' "$gib" "$bytes"
	[ -z "$before" ] || [ "$bytes" = "$before" ] || { echo "bytes read depend on RAM"; exit 1; }
	before=$bytes
	rm "$file"
done

echo
echo "== .nms: writing and verifying 256 MiB of stream, as a ratio to zstd -1 and to cat"
"$build/bench/bench-nms" "$work"
