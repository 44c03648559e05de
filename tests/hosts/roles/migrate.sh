#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One host, two QEMUs: `nestmig migrate` of the nested guest from one to the other, with this host's profile and
# with profiles of hosts that do not take L2. What L2 has printed on both sides must be one sequence.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

need qemu-system-x86_64 socat jq

# waiting DIR: a second QEMU, which waits.
waiting() {
	local dir=$1
	mkdir -p "$dir"
	: >"$dir/com1" && : >"$dir/com2"
	qemu-system-x86_64 -name "nested-$CPUS" -accel kvm -cpu host -M q35 -m 64 -smp "$CPUS" -nodefaults \
		-no-user-config -display none -kernel "$L1" -pidfile "$dir/pid" \
		-serial "file:$dir/com1" -serial "file:$dir/com2" \
		-qmp "unix:$dir/qmp,server=on,wait=off" -incoming defer >"$dir/qemu.log" 2>&1 </dev/null &
	waiting_pid=$!
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[ ! -S "$dir/qmp" ] || return 0
		sleep 0.1
	done
	fail "the second QEMU does not start: $(cat "$dir/qemu.log")"
}

# refused PROFILE OPTION...: nothing is migrated and L2 counts on.
refused() {
	local profile=$1 before status=0
	shift
	waiting "$WORK/b"
	"$NESTMIG" migrate --qmp "$WORK/a/qmp" --dest-qmp "$WORK/b/qmp" --host "$profile" "$@" >"$OUT/refused.txt" 2>&1 ||
		status=$?
	[ $status = 1 ] || fail "with $profile $*: exit status $status: $(cat "$OUT/refused.txt")"
	grep -q 'refused.*nested=0' "$OUT/refused.txt" || fail "no reason: $(cat "$OUT/refused.txt")"
	[ "$(vm_status)" = running ] || fail "the source is $(vm_status)"
	before=$(last_count "$WORK/a/com1")
	wait_for_count "$WORK/a" $((before + 3)) 60 || fail "L2 does not count on at the source"
	[ ! -s "$WORK/b/com1" ] || fail "L2 ran at the destination"
	kill "$waiting_pid" 2>/dev/null
	wait "$waiting_pid" 2>/dev/null
	echo "refused with $(basename "$profile") $*: $(grep -o 'refused.*nested=0' "$OUT/refused.txt"); L2 counts on"
	rm -rf "$WORK/b"
}

start_guest "$WORK/a"
wait_for_count "$WORK/a" 5 120 || fail "L2 does not count: $(tail -n 1 "$WORK/a/com1")"
"$NESTMIG" host --save "$WORK/here.json" >/dev/null || fail "no profile of this host"
jq -c '.params["kvm_amd.nested"] = "0"' "$WORK/here.json" >"$WORK/nested0.json"
refused "$WORK/nested0.json"
refused "$WORK/nested0.json" --no-preflight

waiting "$WORK/b"
"$NESTMIG" migrate --qmp "$WORK/a/qmp" --dest-qmp "$WORK/b/qmp" >"$OUT/migrated.txt" 2>&1 ||
	fail "exit status $?: $(cat "$OUT/migrated.txt" "$WORK/b/qemu.log")"
tail -n 1 "$OUT/migrated.txt"
grep -c 'L2 is active in [1-9]' "$OUT/migrated.txt" >/dev/null || echo "(L2 was not active at either moment)"
wait_for_count "$WORK/b" $(($(last_count "$WORK/a/com1") + 5)) 60 || fail "L2 does not count at the destination"
[ "$(vm_status)" = postmigrate ] || fail "the source is $(vm_status)"
for ((cpu = 1; cpu <= CPUS; cpu++)); do
	gap=$(cat "$WORK/a/com$cpu" "$WORK/b/com$cpu" | tr -d '\r' | grep -a '^L2\|^L1' | check_sequence $((cpu - 1))) ||
		fail "the count has a gap: $gap"
done
echo "L2 counts at the destination, from $(last_count "$WORK/a/com1") to $(last_count "$WORK/b/com1"), without a gap"
kill "$waiting_pid"
stop_guest
