#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD ARTEFACTS [SECONDS]: every fuzz target for some seconds (default 15), from genuine
# inputs. A crash, a leak, a time-out or too much memory is a failure.
set -euo pipefail

build=$1 artefacts=$2 seconds=${3:-15}
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

# seeds NAME: genuine inputs of a target, in $work/NAME
seeds() {
	mkdir -p "$work/$1"
	case $1 in
	fuzz_qemu)
		cp "$artefacts"/A/dev1.qemu "$artefacts"/A/l1only.qemu "$work/$1"
		# Without most of the RAM: the reader does not look at it, and small inputs are faster.
		for number in 1 2; do
			{ head -c 4096 && tail -c 120000; } <"$artefacts/A/full$number.qemu" >"$work/$1/full$number"
			small_ram "$artefacts/A/full$number.qemu" >"$work/$1/ram$number"
		done
		;;
	fuzz_nms) cp "$artefacts"/A/*.nms "$work/$1" ;;
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

ran=0
for target in "$build"/tests/fuzz_*; do
	name=$(basename "$target")
	case $name in *.*) continue ;; esac
	seeds "$name"
	echo "$name: $seconds s"
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=262144 \
		-print_final_stats=1 -artifact_prefix="$work/$name-" "$work/$name" 2>"$work/log" || {
		tail -n 40 "$work/log"
		echo "$name: failed"
		exit 1
	}
	grep -E 'number_of_executed_units|peak_rss' "$work/log"
	ran=$((ran + 1))
done
[ "$ran" -ge 5 ] || { echo "only $ran fuzz targets were there"; exit 1; }
