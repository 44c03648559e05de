# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The nested guest into a file in the ways that every QEMU knows (to be sourced by a role, after common.sh).

# qboot: a few KiB of firmware in guest memory, not SeaBIOS's 256; the state is the same.
SMALL="-m 16 -bios qboot.rom"

capability() {
	qmp migrate-set-capabilities \
		"{\"capabilities\":[{\"capability\":\"$1\",\"state\":$2}]}" >/dev/null ||
		fail "QEMU has no capability $1"
}

parameters() {
	qmp migrate-set-parameters "{$1}" >/dev/null || fail "migrate-set-parameters $1"
}

monitor() {
	local said
	said=$(qmp human-monitor-command "{\"command-line\":\"$1\"}") || fail "$1"
	[ "$(jq -r .return <<<"$said")" = "" ] || fail "$1: $said"
}

start_small_guest() {
	# shellcheck disable=SC2086 # words
	start_guest "$1" $SMALL "${@:2}"
	wait_for_count "$1" 3 60 || fail "L2 does not count: $(tail -n 1 "$1/com1")"
}

# start_unwatched DIR [QEMU ARGUMENTS]: such a guest that nobody speaks to; $unwatched_pid is its QEMU.
start_unwatched() {
	local dir=$1
	shift
	mkdir -p "$dir"
	# shellcheck disable=SC2086 # words
	qemu-system-x86_64 -accel kvm -cpu host -M q35 $SMALL -smp 1 -nodefaults -no-user-config -display none \
		-kernel "$L1" -serial "file:$dir/com1" -serial "file:$dir/com2" "$@" \
		>"$dir/qemu.log" 2>&1 </dev/null &
	unwatched_pid=$!
}

await_socket() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[ ! -S "$1" ] || return 0
		sleep 0.1
	done
	return 1
}

disk_arguments() {
	printf '%s\n' -drive "if=none,id=disk,file=$1,format=qcow2" -device virtio-blk-pci,drive=disk
}

# Two snapshots in one image, the guest moving on in between.
save_snapshots() {
	local image=$1 name
	shift
	for name; do
		stop_in_l2 "$OUT/$image.$name.dev"
		monitor "savevm $name"
		qmp cont >/dev/null
		sleep 0.3
	done
}

# migrate_with CAPABILITY FILE: of a guest that stands still.
migrate_with() {
	stop_in_l2 "$OUT/$2.dev"
	capability "$1" true
	qmp_migrate "$WORK/$2" || fail "cannot write $2"
	capability "$1" false
	qmp cont >/dev/null
	cp "$WORK/$2" "$OUT/$2"
}
