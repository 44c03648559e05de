#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD [--quick]: measurements, each as a ratio to something real in the same run. Nothing here passes or
# fails on a time; the assertions are on counts: judging must not allocate memory, and the bytes read must
# not grow with RAM.
set -euo pipefail

build=$(realpath "$1")
mebibytes=8192 packed_mebibytes=1024 files=10000 places=1000
[ "${2-}" != --quick ] || mebibytes=256 packed_mebibytes=64 files=500 places=100
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

# shellcheck source=stream.sh
. "$here/stream.sh"

# timed [-c FILE] TIMES PROGRAM...: sets $seconds and $rss
timed() {
	read -r seconds rss < <("$build/bench/bench-time" "$@") || { echo "cannot time $*"; exit 1; }
}

percent() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", 100 * a / b}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

echo
echo "== validate --quick on a full stream: bytes read, by size of RAM (strace)"
big=$work/big.qemu
before=
for size in 1 64 $mebibytes; do
	if [ "$(df --output=avail -m "$work" | tail -n 1)" -lt $((size * 5 / 4)) ]; then
		echo "no room for $size MiB in $work: smaller"
		size=1024
	fi
	full_stream "$size" >"$big"
	strace -f -e trace=pread64 -o "$work/trace" "$nestmig" validate --quick --host "$work/host.json" "$big" >/dev/null
	# Not what the dynamic linker reads before main().
	bytes=$(awk '/"QEVM/ {inside = 1} inside {n += $NF} END {print n}' "$work/trace")
	printf '%6d MiB of pages: %9d bytes read with pread64\n' "$size" "$bytes"
	[ -z "$before" ] || [ "$bytes" = "$before" ] || { echo "bytes read depend on RAM"; exit 1; }
	before=$bytes
done

echo
echo "== validate on the last of these, as a share of what cat takes to read it"
for cache in hot cold; do
	cold=()
	[ $cache = hot ] || cold=(-c "$big")
	[ $cache = cold ] || cat "$big" >/dev/null
	timed "${cold[@]}" 2 cat "$big"
	reading=$seconds
	timed "${cold[@]}" 9 "$nestmig" validate --quick --host "$work/host.json" "$big"
	printf 'page cache %s: cat %.3f s, validate --quick %.1f ms: %s %%; resident %s MiB\n' $cache "$reading" \
		"$(awk -v s="$seconds" 'BEGIN {print 1000 * s}')" "$(percent "$seconds" "$reading")" $((rss / 1024))
	timed "${cold[@]}" 2 "$nestmig" validate --host "$work/host.json" "$big"
	echo "page cache $cache: cat $reading s, validate $seconds s, all of RAM passed over: ratio" \
		"$(ratio "$seconds" "$reading"); resident $((rss / 1024)) MiB"
done
rm "$big"

echo
echo "== validate on a compressed stream of $packed_mebibytes MiB, as a ratio to its decompressor"
for tool in zstd gzip xz bzip2 lzop; do
	packed=$work/packed
	command -v $tool >/dev/null || { echo "$tool: not installed"; continue; }
	full_stream 1 | $tool -1 -c >"$packed"
	"$nestmig" validate --host "$work/host.json" "$packed" >"$work/out" 2>&1 || [ $? = 1 ] ||
		{ echo "$tool: not read: $(tail -n 1 "$work/out" | cut -d : -f 3-)"; continue; }
	full_stream $packed_mebibytes | $tool -1 -c >"$packed"
	timed 2 $tool -dc "$packed"
	unpacking=$seconds
	timed 2 "$nestmig" validate --host "$work/host.json" "$packed"
	echo "$tool: $tool -dc $unpacking s, validate $seconds s: ratio $(ratio "$seconds" "$unpacking")," \
		"resident $((rss / 1024)) MiB"
done

echo
echo "== validate on $files small files at once"
mkdir "$work/many"
zstd -qdc "$here/../tests/cases/streams/dev1.qemu.zst" >"$work/dev1.qemu"
for ((i = 0; i < files; i++)); do printf '%s\0' "$work/many/$i"; done |
	xargs -0 -n 500 sh -c 'tee "$@" <"$0" >/dev/null' "$work/dev1.qemu"
jobs=()
! "$nestmig" validate --help | grep -q -- --jobs || jobs=(--jobs "$(nproc)")
cd "$work/many"
timed 2 cat ./*
reading=$seconds
timed 2 "$nestmig" validate --json --host "$work/host.json" "${jobs[@]}" ./*
awk -v n="$files" -v s="$seconds" -v r="$reading" -v rss="$rss" -v size="$(stat -c %s 0)" -v jobs="${jobs[*]}" \
	'BEGIN {printf "%d bytes each %s: %.0f files/s, cat %.0f files/s: ratio %.1f; resident %d MiB\n",
		size, jobs, n / s, n / r, s / r, rss / 1024}'
cd "$OLDPWD"
rm -r "$work/many"

echo
echo "== place: $places states, all different, against $places profiles, all different"
mkdir "$work/places" "$work/profiles"
zstd -qdc "$here/../tests/cases/streams/vmxdev1.qemu.zst" >"$work/vmxdev1.qemu"
# A third each: a stream with L2 on SVM, one on VMX, a raw dump with the guest's CPUID. RAX and RIP are no two times
# the same, and every ninth has an ASID or CR0 that is refused.
for ((i = 0; i < places; i++)); do
	value=$(printf '0x%x' $((0x100000 + i)))
	bad=()
	case $((i % 3)) in
	0)
		[ $((i % 9)) != 0 ] || bad=(vcpu0.vmcb12.control.asid 0)
		"$build/tests/nestmig-poke" "$work/dev1.qemu" "$work/places/$i" vcpu0.regs.rip "$value" "${bad[@]}"
		;;
	1)
		[ $((i % 9)) != 1 ] || bad=(vcpu0.sregs.cr0 0x20010033)
		"$build/tests/nestmig-poke" "$work/vmxdev1.qemu" "$work/places/$i" vcpu0.regs.rip "$value" "${bad[@]}"
		;;
	2)
		cp -r "$here/../tests/cases/raw-dump" "$work/places/$i"
		printf "\\x$(printf %02x $((i & 255)))\\x$(printf %02x $((i >> 8)))" | dd of="$work/places/$i/vcpu0/regs" conv=notrunc status=none
		;;
	esac
done
# CPUID 7.EBX is another one in each, and kernels, nested and npt or ept differ.
for vendor in amd intel; do
	jq -c --argjson n $((places / 2)) 'range($n) as $i | ["1", "5", "10", "12", "18"] as $minors |
		.kernel = "6." + $minors[$i % 5] + ".0" |
		.params |= with_entries(
			if (.key | test("\\.(npt|ept)$")) then .value = (if $i % 7 == 0 then "N" else "Y" end)
			elif (.key | test("\\.nested$")) then .value = (if $i % 11 == 0 then "0" else "1" end)
			else . end) |
		.cpuid |= map(if .function == "0x00000007" then .ebx = "0x\($i + 10000)" else . end)' \
		"$here/../tests/cases/host-$vendor-6.1/expected.json" |
		awk -v to="$work/profiles/$vendor-" '{print >(to NR ".json"); close(to NR ".json")}'
done
timed 3 "$nestmig" place --json --jobs "$(nproc)" --hosts "$work/profiles" "$work"/places/*
awk -v n="$places" -v s="$seconds" -v rss="$rss" -v cores="$(nproc)" \
	'BEGIN {printf "%d cores: %.2f s, %.0f pairs/s; resident %d MiB\n", cores, s, n * n / s, rss / 1024}'
rm -r "$work/places" "$work/profiles"

echo
echo "== .nms: writing and verifying 256 MiB of stream, as a ratio to zstd -1 and to cat"
"$build/bench/bench-nms" "$work"

echo
echo "== A migration through the gate and through socat"
"$here/gate.sh" "$build" "${2-}"
