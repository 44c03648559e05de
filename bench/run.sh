#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD: measurements, each as a ratio to something real in the same run. Nothing here passes or
# fails on a time; the one assertion is on a count: bytes read must not grow with RAM.
set -euo pipefail

build=$1
here=$(cd "$(dirname "$0")" && pwd)
nestmig=$build/cmd/nestmig
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== Judging (lib/judge.c), one core"
"$build/bench/bench-judge" "$here/../tests/cases/streams"

echo
echo "== validate on a full stream: bytes read, by size of RAM (strace)"
stream=$work/full.qemu
zstd -q -d -c "$here"/../tests/cases/streams/full1.qemu.zst >"$stream"
size=$(stat -c %s "$stream")
# The head with the RAM block list, a hole as large as RAM would be, the device state at the end.
before=
for gib in 0 1 16 256; do
	file=$work/$gib.qemu
	head -c 65536 "$stream" >"$file"
	truncate -s $((gib << 30 | 65536)) "$file"
	tail -c $((size - 65536)) "$stream" >>"$file"
	read -r bytes seconds < <(
		/usr/bin/env TIMEFORMAT=%R bash -c "time strace -f -e trace=read,pread64 -o '$work/trace' \
			'$nestmig' validate '$file' >/dev/null" 2>&1 | tail -n 1 |
			while read -r s; do
				awk -v s="$s" '/\.qemu|pread64/ {n += $NF} END {print n, s}' "$work/trace"
			done
	)
	printf '%5d GiB of RAM: %9d bytes read with pread64\n' "$gib" "$bytes"
	[ -z "$before" ] || [ "$bytes" = "$before" ] || { echo "bytes read depend on RAM"; exit 1; }
	before=$bytes
	rm "$file"
done

echo
echo "== .nms: writing and verifying 256 MiB of stream, as a ratio to zstd -1 and to cat"
"$build/bench/bench-nms" "$work"
