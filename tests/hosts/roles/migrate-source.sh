#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host A of migrate.sh: a nested guest moves from here to B, or does not; B does as it is told.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=apart.sh
. "$(dirname "$0")/apart.sh"
# shellcheck source=libvirt.sh
. "$(dirname "$0")/libvirt.sh"
# shellcheck source=moving.sh
. "$(dirname "$0")/moving.sh"

failures=0

ok() {
	echo "ok: $*"
}

bad() {
	echo "NOT OK: $*"
	failures=$((failures + 1))
}

# counts_on WHERE WHAT: with what L2 printed before, no number is left out, none comes twice.
counts_on_at_b() {
	local last trouble
	last=$(last_count "$GUEST_DIR/com1")
	if ! on_b "wait_for_count $GUEST_DIR $((last + 5)) 60"; then
		bad "$1: L2 stands at $(on_b "counts $GUEST_DIR") after $last"
		return
	fi
	on_b "cat $GUEST_DIR/com1" >"$WORK/there"
	trouble=$(cat "$GUEST_DIR/com1" "$WORK/there" | check_sequence 0)
	if [ -z "$trouble" ]; then ok "$1: L2 counts on from $last at the destination"; else bad "$1: $trouble"; fi
}

need qemu-system-x86_64 socat jq awk virsh
serve_b
on_b "ready_libvirt" || fail "libvirt on B"
ready_libvirt
libvirt_define
echo "$SECONDS s: both daemons run"
virsh_do "start $GUEST"
wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count under libvirt"
virsh_do "migrate $GUEST qemu+tcp://$OTHER/system tcp://$OTHER --live --p2p --unsafe"
echo "$SECONDS s: migrated"
counts_on_at_b "virsh migrate"
on_b "domain_state"
domain_state
libvirt_stop
on_b "libvirt_stop"
echo "$SECONDS s"
[ "$failures" = 0 ]
