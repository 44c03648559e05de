#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# intel-stream.sh BUILD OUTDIR [DIR]: genuine QEMU streams of a guest with VMX whose L2 runs, made by
# this machine's QEMU in the emulated Intel host; see roles/intel-stream.sh for what is in OUTDIR then.
# The host is booted for it, or is the one that runs in DIR.
set -uo pipefail

hosts=$(cd "$(dirname "$0")" && pwd)
TIME_LIMIT=${TIME_LIMIT:-1500}

fail() {
	echo "intel-stream.sh: $*" >&2
	exit 1
}

cleanup() {
	[ -n "$borrowed" ] || "$hosts/intel.sh" stop "$work/host"
	rm -rf "$work"
}

# QEMU with all that it loads: the host has no other files.
collect_qemu() {
	local dir=$1 program library rom
	program=$(command -v qemu-system-x86_64) || fail "qemu-system-x86_64 is not installed"
	mkdir -p "$dir/lib"
	cp "$program" "$dir/"
	for library in $(ldd "$program" | grep -o '/[^ ]*'); do
		cp -L "$library" "$dir/lib/" || fail "cannot copy $library"
	done
	for rom in bios-256k.bin kvmvapic.bin multiboot_dma.bin multiboot.bin; do
		cp -L "/usr/share/seabios/$rom" "$dir/" 2>/dev/null ||
			cp -L "/usr/share/qemu/$rom" "$dir/" || fail "QEMU's $rom is not there"
	done
}

[ $# -ge 2 ] || fail "usage: intel-stream.sh BUILD OUTDIR [DIR]"
nestmig=$1/cmd/nestmig out=$2 borrowed=${3:-}
[ -x "$nestmig" ] || fail "no $nestmig: build the project"
work=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
"$hosts/l1/build.sh" "$work/l1.elf" || fail "cannot build the nested guest"
"$hosts/rawdump/build.sh" "$work/rawdump" -static || fail "cannot build rawdump"
collect_qemu "$work/qemu"
host=${borrowed:-$work/host}
[ -n "$borrowed" ] || "$hosts/intel.sh" start "$host" || fail "no host"
# Stopped in L1, between two entries of L2, it has no L2 in it: rare, try again.
for try in 1 2 3; do
	"$hosts/intel.sh" job "$host" "$hosts/roles/intel-stream.sh" "$out" --timeout "$TIME_LIMIT" \
		--file "$work/qemu" --file "$work/l1.elf" --file "$work/rawdump" || fail "the job failed"
	mode=$("$nestmig" inspect --json "$out/vmx1.qemu" | jq -r '.vcpus[0].mode')
	echo "the vCPU is in $mode"
	[ "$mode" != L2 ] || exit 0
done
fail "L2 was never running when the guest was stopped ($try times)"
