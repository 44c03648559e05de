#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Writes one nested guest's state, L2 in it, into $OUT in the containers that a newer QEMU knows,
# as PREFIX-FILE; PREFIX-FILE.dev is the device state of the same moment.
#
# Environment: as in common.sh; NEWER, a directory with what their packages unpack to; PREFIX.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=saving.sh
. "$(dirname "$0")/saving.sh"

# Above this machine's own, in the emulated host only.
use_newer() {
	grep -q "^out $OUT 9p " /proc/mounts || fail "newer.sh is for emulated hosts"
	mkdir -p /run/newer/upper /run/newer/work
	mount -t overlay -o "lowerdir=$NEWER/usr:/usr,upperdir=/run/newer/upper,workdir=/run/newer/work" \
		overlay /usr || fail "cannot lay $NEWER over this machine's programs"
}

# migrate_to_file FILE [CAPABILITY...]: of a guest that stands still; QEMU opens the file itself.
migrate_to_file() {
	local file=$PREFIX-$1 name
	shift
	stop_in_l2 "$OUT/$file.dev"
	for name; do
		capability "$name" true
	done
	qmp migrate "{\"uri\":\"file:$WORK/$file\"}" >/dev/null || fail "migrate"
	qmp_migrated "$WORK/$file" || fail "cannot write $file"
	for name; do
		capability "$name" false
	done
	qmp cont >/dev/null
	cp "$WORK/$file" "$OUT/"
}

save_with_qemu() {
	local image=$PREFIX-savevm.qcow2
	qemu-img create -q -f qcow2 "$WORK/$image" 1M || fail "qemu-img"
	mapfile -t disk < <(disk_arguments "$WORK/$image")
	start_small_guest "$WORK/one" "${disk[@]}"
	save_snapshots "$image" one
	migrate_to_file stream.qemu
	migrate_to_file mapped-ram.qemu mapped-ram
	migrate_to_file multifd.qemu mapped-ram multifd
	stop_guest
	cp "$WORK/$image" "$OUT/"
}

use_newer
need qemu-system-x86_64 qemu-img socat jq
{
	uname -srv
	qemu-system-x86_64 --version | head -n 1
} >"$OUT/versions"
cat "$OUT/versions"
save_with_qemu
chmod a+r "$OUT"/*.*
