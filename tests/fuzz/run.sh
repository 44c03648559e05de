#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD ARTEFACTS [SECONDS [NAME...]]: every fuzz target (or those named), built with ASan and UBSan,
# on what is kept in corpus/NAME and on genuine inputs, and from these for some seconds of new ones (default
# 60); AT_ONCE at a time (default: as many as there are processors). A crash, a leak, 30 s of a processor for
# one input or too much memory is a failure; its input is left in BUILD/found. FUZZ_SEED: another row of mutations.
set -euo pipefail

build=$(realpath "$1") artefacts=$(realpath "$2") seconds=${3:-60}
processors=$(nproc)
at_once=${AT_ONCE:-$processors}
input_limit=$((30 * (at_once > processors ? at_once : processors) / processors))
shift $(($# < 3 ? $# : 3))
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# small_ram STREAM: a full stream with a section or two of RAM and a few pages. Behind the list of
# blocks stands the first end of a section, 8 bytes and a footer with its id; the first device of a
# q35 machine is "timer".
small_ram() {
	local list devices id
	list=$(grep -obUaPm 1 '\x00{7}\x10\x7e' "$1" | sed -n '1s/:.*//p')
	devices=$(grep -obUaP '\x04\x00{3}.\x05timer' "$1" | sed -n '1s/:.*//p')
	id=$(od -An -tx1 -j $((list + 9)) -N 4 "$1" | sed 's/ /\\x/g')
	head -c $((list + 13)) "$1"
	# shellcheck disable=SC2059 # the format is the bytes
	{
		printf "\\x02$id" # a part: the page of SMRAM where the firmware of QEMU puts it, and one of zeros
		printf '\x00\x00\x00\x00\x00\x0a\xf0\x08\x06pc.ram' && head -c 4096 /dev/zero | tr '\0' e
		printf '\x00\x00\x00\x00\x00\x04\x00\x22\x00'
		printf "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x10\\x7e$id\\x03$id" # and the end
		printf '\x00\x00\x00\x00\x00\x0a\xf0\x28' && head -c 4096 /dev/zero | tr '\0' f
		printf "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x10\\x7e$id"
	}
	tail -c +$((devices + 1)) "$1"
}

# raw_dump DIRECTORY: as one input of fuzz_rawdump
raw_dump() {
	local number=0 name size
	for name in meta.json host_msrs vcpu0/{nested_state,sregs,sregs2,regs,vcpu_events,debugregs,mp_state,msrs,cpuid}; do
		size=$(stat -c %s "$1/$name")
		# shellcheck disable=SC2059 # the format is the bytes
		printf "\\x$(printf %02x $number)\\x$(printf %02x $((size & 255)))\\x$(printf %02x $((size >> 8)))"
		cat "$1/$name"
		number=$((number + 1))
	done
}

# big_endian WIDTH VALUE: its bytes
big_endian() {
	# shellcheck disable=SC2059 # the format is the bytes
	printf "$(printf "%0$((2 * $1))x" "$2" | sed 's/../\\x&/g')"
}

# unpacked CASE: a file of tests/cases
unpacked() {
	zstd -qdc "$here/../cases/$1.zst"
}

# qcow2_image OPTIONS FILE STREAM...: an image with a snapshot of each stream. qemu-img leaves out how long its
# VM state is: for that one wants QEMU's savevm, and a whole VM.
qcow2_image() {
	local options=$1 image=$2 stream at i sizes=()
	shift 2
	qemu-img create -q -f qcow2 -o "$options" "$image" 64k
	for stream; do
		sizes+=("$(stat -c %s "$stream")")
		cp "$stream" "$work/vmstate" && truncate -s %512 "$work/vmstate"
		qemu-io -f qcow2 -c "write -q -b -s $work/vmstate 0 $(stat -c %s "$work/vmstate")" "$image"
		qemu-img snapshot -q -c "$(basename "$stream")" "$image"
	done
	at=$((16#$(od -An -tx1 -j 64 -N 8 "$image" | tr -d ' ')))
	for ((i = 0; i < $#; i++)); do
		big_endian 8 "${sizes[i]}" | dd of="$image" bs=1 seek=$((at + 40)) conv=notrunc status=none
		# On to the next entry: 40 bytes, so much extra data, the id and the name, all in eights
		at=$((at + (40 + 16#$(od -An -tx1 -j $((at + 36)) -N 4 "$image" | tr -d ' ') +
			16#$(od -An -tx1 -j $((at + 12)) -N 2 "$image" | tr -d ' ') +
			16#$(od -An -tx1 -j $((at + 14)) -N 2 "$image" | tr -d ' ') + 7) / 8 * 8))
	done
}

# libvirt_seeds DIRECTORY: its genuine images, one with little of its RAM, the texts in them, and bare streams
libvirt_seeds() {
	local name length
	for name in {save,dump}.{gzip,bzip2,xz,lzop} managedsave.gzip memory-snapshot-live.lzop; do
		unpacked "containers/$name" >"$1/$name"
	done
	unpacked containers/save.raw >"$work/save"
	length=$((92 + $(od -An -tu4 -j 20 -N 4 "$work/save")))
	small_ram "$artefacts/A/full1.qemu" >"$work/stream"
	{ head -c $length "$work/save" && cat "$work/stream"; } >"$1/save.raw"
	head -c $length "$work/save" | tail -c +93 | tr -s '\0' '\n' >"$work/texts"
	sed '/^<\/domain>/q' "$work/texts" >"$1/domain.xml"
	sed '1,/^<\/domain>/d' "$work/texts" >"$1/cookie.xml"
	for name in gzip bzip2 xz lzop zstd; do $name -c <"$work/stream" >"$1/stream.$name"; done
}

# chv_seeds DIRECTORY: whole state.json, and the text of a vCPU alone
chv_seeds() {
	local name
	for name in svm vmx; do
		unpacked "cloud-hypervisor/$name/state.json" >"$1/$name"
		{ printf v && jq -j '.snapshots["cpu-manager"].snapshots["0"].snapshot_data.state' "$1/$name"; } \
			>"$1/$name-vcpu"
	done
}

# qmp_seeds DIRECTORY: what QEMU says after the greeting, and a greeting too
qmp_seeds() {
	local greeting='{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""},
		"capabilities": ["oob"]}}' time='"timestamp": {"seconds": 1763719200, "microseconds": 1}'
	{ printf '\x7f' && echo "$greeting"; } >"$1/greeting"
	{ printf '\x7f' && echo "$greeting" && echo '{"return": {}, "id": "libqmp-1"}' '{"return": [], "id": "libqmp-2"}'; } \
		>"$1/reply"
	{ printf '\xff' && echo '{"error": {"class": "CommandNotFound", "desc": "no"}, "id": "libqmp-2"}'; } >"$1/error"
	{ printf '\xff' && echo "{$time, \"event\": \"STOP\"}" '{"return": {"a": [1]}, "id": "libqmp-2"}' \
		"{$time, \"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}"; } >"$1/events"
}

# seeds NAME: genuine inputs of a target, in $work/NAME; those that once failed, and others worth keeping
seeds() {
	mkdir -p "$work/$1"
	[ ! -d "$here/corpus/$1" ] || cp "$here/corpus/$1"/* "$work/$1"
	case $1 in
	fuzz_qemu)
		cp "$artefacts"/A/dev1.qemu "$artefacts"/A/l1only.qemu "$work/$1"
		# Without most of the RAM: the reader does not look at it, and small inputs are faster.
		for number in 1 2; do
			{ head -c 4096 && tail -c 120000; } <"$artefacts/A/full$number.qemu" >"$work/$1/full$number"
			small_ram "$artefacts/A/full$number.qemu" >"$work/$1/ram$number"
		done
		;;
	fuzz_follow)
		# The first byte: in pieces of what size the stream comes
		small_ram "$artefacts/A/full1.qemu" >"$work/stream"
		{ printf '\x01' && cat "$work/stream"; } >"$work/$1/pieces"
		{ printf '\xff' && cat "$work/stream"; } >"$work/$1/whole"
		{ printf '\x10' && cat "$artefacts/A/dev1.qemu"; } >"$work/$1/devices"
		;;
	fuzz_nms) cp "$artefacts"/A/*.nms "$work/$1" ;;
	fuzz_rawdump)
		raw_dump "$here/../cases/raw-dump" >"$work/$1/amd"
		raw_dump "$here/../cases/raw-dump-vmx" >"$work/$1/intel"
		;;
	fuzz_rules)
		# Each healthy guest, with and without each item (39 are enough to have no item twice).
		local guest item
		for guest in 0 1 2 3 4 10 18; do
			for ((item = 0; item < 40; item++)); do
				# shellcheck disable=SC2059 # the format is the bytes
				printf "\\x$(printf %02x "$guest")\\x$(printf %02x "$item")" >"$work/$1/$guest-$item"
			done
		done
		;;
	fuzz_qcow2)
		small_ram "$artefacts/A/full1.qemu" >"$work/one"
		qcow2_image cluster_size=512 "$work/$1/small" "$artefacts/A/dev1.qemu" "$artefacts/A/l1only.qemu"
		qcow2_image cluster_size=4k,compat=0.10 "$work/$1/v2" "$work/one"
		qcow2_image cluster_size=16k,extended_l2=on "$work/$1/extended" "$artefacts/A/dev1.qemu"
		;;
	fuzz_libvirt) libvirt_seeds "$work/$1" ;;
	fuzz_chv) chv_seeds "$work/$1" ;;
	fuzz_qmp) qmp_seeds "$work/$1" ;;
	fuzz_host) cp "$artefacts"/B/host.json "$work/$1" ;;
	fuzz_kvm)
		local i=0 name
		for name in nested_state sregs sregs2 regs vcpu_events debugregs mp_state msrs cpuid; do
			# shellcheck disable=SC2059 # the format is the byte
			{ printf "\\x0$i" && cat "$artefacts/A/raw1/vcpu0/$name"; } >"$work/$1/$name"
			i=$((i + 1))
		done
		;;
	esac
}

# coverage WHEN LOG: the edges that had been reached in the last line with that word
coverage() {
	sed -n "/$1/s/.* cov: \([0-9]*\) .*/\1/p" "$2" | tail -n 1
}

# run_target NAME: what it has to say in $work/NAME.said, and an empty $work/NAME.ok if nothing was found
run_target() {
	local name=$1 target=$build/tests/$1 log=$work/$1.log options
	options=(-timeout="$input_limit" -rss_limit_mb=4096 -max_len=262144 -artifact_prefix="$build/found/$name-")
	# Its inputs are rows of small changes: long ones are not slower.
	[ "$name" != fuzz_rules ] || options+=(-len_control=0 -max_len=1024)
	seeds "$name"
	mkdir -p "$work/$name.new"
	if "$target" -runs=0 "${options[@]}" "$work/$name" >"$log" 2>&1 &&
		"$target" -seed="${FUZZ_SEED:-20261121}" -max_total_time="$seconds" -print_final_stats=1 \
			"${options[@]}" "$work/$name.new" "$work/$name" >"$log" 2>&1; then
		touch "$work/$name.ok"
		echo "$name: $(find "$work/$name" -type f | wc -l) inputs replayed, coverage $(coverage INITED "$log"), then in $seconds s" \
			"$(sed -n 's/stat::number_of_executed_units: *//p' "$log") executions," \
			"coverage $(coverage . "$log")," \
			"peak $(sed -n 's/stat::peak_rss_mb: *//p' "$log") MiB"
	else
		tail -n 40 "$log"
		echo "$name: failed"
	fi >"$work/$name.said"
	cat "$work/$name.said"
}

names=("$@")
if [ $# = 0 ]; then
	for source in "$here"/fuzz_*.c; do names+=("$(basename "$source" .c)"); done
fi
mkdir -p "$build/found"
for name in "${names[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n || true; done
	run_target "$name" &
done
wait
failed=0
for name in "${names[@]}"; do
	[ -e "$work/$name.ok" ] || failed=$((failed + 1))
done
echo "${#names[@]} fuzz targets, $failed failed"
[ "$failed" = 0 ]
