#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The host that a nested guest leaves: starts it, lets L2 count, takes a snapshot, serves it once.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

START_COUNT=20

# Nothing may run on once the state is taken, or the last count would say nothing.
freeze_guest() {
	[ "$(vm_status)" = running ] || return 0
	qmp stop >/dev/null
	: >"$WORK/ship/ran-on"
}

serve() {
	tar -C "$WORK/ship" -c . |
		timeout 480 socat -u STDIN "TCP-LISTEN:$PORT,bind=$1,reuseaddr" ||
		fail "nobody fetched the snapshot from $1 port $PORT"
}

need qemu-system-x86_64 socat jq tar
mkdir "$WORK/ship"
start_guest "$WORK/guest"
echo "nested guest with $CPUS vCPU(s) started on Linux $(uname -r)," \
	"kvm_amd nested=$(cat /sys/module/kvm_amd/parameters/nested)"
wait_for_count "$WORK/guest" $START_COUNT 90 ||
	fail "L2 does not count to $START_COUNT: $(tail -n 1 "$WORK/guest/com1")"
counts "$WORK/guest" >"$WORK/ship/before"
echo "L2 counts, now at $(cat "$WORK/ship/before")"

"$NESTMIG" snapshot --qmp "$WORK/guest/qmp" "$WORK/ship/guest.nms" >"$OUT/snapshot$CPUS.txt" 2>&1 ||
	fail "nestmig snapshot: exit status $? $(tail -n 20 "$OUT/snapshot$CPUS.txt")"
freeze_guest
counts "$WORK/guest" >"$WORK/ship/after"
cp "$WORK/guest/com1" "$WORK/guest/com2" "$WORK/ship/"
cp "$WORK/ship/guest.nms" "$OUT/guest$CPUS.nms"
echo "snapshot taken, $(stat -c %s "$WORK/ship/guest.nms") bytes; L2's last count here is" \
	"$(cat "$WORK/ship/after")"
stop_guest
serve "$ADDRESS"
echo "snapshot handed to the other host"
