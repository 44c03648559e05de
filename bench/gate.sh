#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gate.sh BUILD [--quick]: a recorded stream with much RAM through `nestmig gate` and through socat, in turns, over
# unix sockets: the best throughput of each, the shortest time that the devices take behind RAM, which is what a relay
# adds to the downtime of a VM, and the processor time of both. Nothing here passes or fails on a time.
set -euo pipefail

build=$(realpath "$1")
mebibytes=2048 rounds=9
[ "${2-}" != --quick ] || mebibytes=256 rounds=3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
stream=$work/full.qemu
zstd -q -d -c "$here"/../tests/cases/streams/full1.qemu.zst >"$stream"
"$build/cmd/nestmig" host --root "$here/../tests/cases/host-amd-6.1" --save host.json

# shellcheck source=stream.sh
. "$here/stream.sh"

[ "$(df --output=avail -m . | tail -n 1)" -gt $((mebibytes * 2)) ] || mebibytes=256
full_stream $mebibytes >big
size=$(stat -c %s big)
tail=$(($(stat -c %s "$stream") - $(grep -obUaP '\x04\x00{3}.\x05timer' "$stream" | sed -n '1s/:.*//p')))

# relay NAME COMMAND...: one stream through it; a line "seconds ms cpu" in NAME.
relay() {
	local name=$1 pid times
	shift
	rm -f in out
	{ TIMEFORMAT='%U %S'; time "$@" >relay.out 2>&1 </dev/null; } 2>"$name.cpu" &
	pid=$!
	times=$("$build/bench/bench-gate" big $((size - tail)) in out)
	wait $pid || [ "$name" = gate ] || { cat relay.out; exit 1; }
	echo "$times $(awk '{print $1 + $2}' "$name.cpu")" >>"$name"
}

for ((i = 0; i < rounds; i++)); do
	relay socat socat UNIX-LISTEN:in UNIX-CONNECT:out
	relay socat-1M socat -b 1048576 UNIX-LISTEN:in UNIX-CONNECT:out
	relay gate "$build/cmd/nestmig" gate --one-way --listen unix:in --connect unix:out --host host.json
done
for name in socat socat-1M gate; do
	awk -v name=$name -v size="$size" '
		NR == 1 || $1 < seconds {seconds = $1}
		NR == 1 || $2 < ms {ms = $2}
		NR == 1 || $3 < cpu {cpu = $3}
		END {printf "%-8s %6.0f MiB/s, devices %6.2f ms, processor %.2f s\n", name, size / seconds / 1048576, ms, cpu}' $name
done
best() { awk -v column="$2" 'NR == 1 || $column < best {best = $column} END {print best}' "$1"; }
awk -v a="$(best socat 1)" -v b="$(best gate 1)" -v c="$(best socat 2)" -v d="$(best gate 2)" \
	'BEGIN {printf "throughput as a ratio to socat: %.2f; added to the downtime: %.2f ms\n", a / b, d - c}'
