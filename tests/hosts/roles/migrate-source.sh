#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host A of migrate.sh: a nested guest moves from here to B, or does not; B does as it is told. After each attempt
# exactly one of them runs it, and L2 counts on there: no number is left out, none comes twice.
#
# From the environment: TESTS, the parts to do; KILLS, at how many points the gate is killed.
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

not() {
	! "$@"
}

# expect WHAT COMMAND...: that it succeeds.
expect() {
	if "${@:2}"; then ok "$1"; else bad "$1"; fi
}

# ---- Where the guest is ---------------------------------------------------------------------------

# Each prints "SOURCE DESTINATION".
qemu_places() {
	echo "$(qemu_status) $(on_b qemu_status)"
}

domain_places() {
	echo "$(domain_state) $(on_b domain_state)"
}

# settled PLACES SECONDS: until one side runs the guest, and only one; says what they are: "A", "B", or why not.
settled() {
	local deadline=$((SECONDS + $2)) places
	while :; do
		places=$($1)
		case $places in
		"running running") echo "both run it" && return ;;
		"running "*) echo A && return ;;
		*" running") echo B && return ;;
		esac
		((SECONDS < deadline)) || break
		sleep 0.3
	done
	echo "neither runs it: $places"
}

# counts_on WHAT A|B [SECONDS]: L2 goes on there, after all that it has printed.
counts_on() {
	local last trouble there=''
	last=$(last_count "$GUEST_DIR/com1")
	[ "$2" = A ] || there=on_b
	if ! ${there:-eval} "wait_for_count $GUEST_DIR $((last + 5)) ${3:-60}"; then
		bad "$1: L2 stands at $(${there:-eval} "counts $GUEST_DIR")after $last"
		return 1
	fi
	[ "$2" = A ] || on_b "cat $GUEST_DIR/com1" >"$WORK/there"
	trouble=$(cat "$GUEST_DIR/com1" ${there:+"$WORK/there"} | check_sequence 0)
	if [ -n "$trouble" ]; then bad "$1: $trouble"; else ok "$1: L2 counts on from $last at $2"; fi
	[ -z "$trouble" ]
}

# is_at WHAT PLACES A|B [SECONDS]: only there, and it counts on.
is_at() {
	local place
	place=$(settled "$2" 30)
	if [ "$place" = "$3" ]; then
		counts_on "$1" "$3" "${4:-}"
	else
		bad "$1: at $3 it should be; $place"
	fi
}

# ---- nestmig ----------------------------------------------------------------------------------------

# run_nestmig WHAT STATUS ARGUMENTS...: what it says is in $WORK/said.txt, and kept.
run_nestmig() {
	local what=$1 want=$2 status=0
	shift 2
	"$NESTMIG" "$@" >"$WORK/said.txt" 2>&1 || status=$?
	{
		echo "== $what: nestmig $*: exit $status"
		cat "$WORK/said.txt"
	} >>"$OUT/said.txt"
	if [ "$status" = "$want" ]; then ok "$what: exit $status"; else
		bad "$what: exit $status, not $want: $(tail -n 8 "$WORK/said.txt")"
	fi
}

said_so() {
	if grep -q -- "$2" "$WORK/said.txt"; then ok "$1: says $2"; else
		bad "$1: does not say $2: $(tail -n 12 "$WORK/said.txt")"
	fi
}

# ---- QEMU -------------------------------------------------------------------------------------------

# profile_of_b NAME: what B's host can do, in $WORK/NAME.json.
profile_of_b() {
	on_b '"$NESTMIG" host --json' >"$WORK/$1.json" || fail "no profile of B: $(cat "$WORK/$1.json")"
}

# new_source [QEMU ARGUMENTS]: L2 counts here.
new_source() {
	start_qemu "$@"
	wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count: $(tail -n 1 "$GUEST_DIR/com1")"
}

new_destination() {
	on_b "start_qemu -incoming defer" || fail "B has no QEMU to come into"
}

# pair [QEMU ARGUMENTS]: a guest here, unless it still runs here, and a QEMU on B that waits.
pair() {
	[ "$(qemu_status)" = running ] || new_source "$@"
	new_destination
}

# slow RATE: QEMU migrates RATE bytes a second; 0: as fast as it can.
slow() {
	qmp migrate-set-parameters "{\"max-bandwidth\":$1}" >/dev/null || fail "max-bandwidth"
}

# migrate_qemu WHAT STATUS [ARGUMENTS]
migrate_qemu() {
	local what=$1 status=$2
	shift 2
	run_nestmig "$what" "$status" migrate --qmp "$GUEST_DIR/qmp" --dest-qmp "tcp:$OTHER:$QMP_PORT" \
		--dest "tcp:$OTHER:$STREAM_PORT" --listen "tcp:0:$STREAM_PORT" --host "$WORK/b.json" "$@"
}

# Until QEMU is at sending RAM.
until_migration_is_active() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[ "$(qmp query-migrate | jq -r .return.status)" != active ] || return 0
		sleep 0.1
	done
	bad "the migration is never active"
}

do_qemu() {
	pair
	migrate_qemu "migrate" 0
	is_at "migrate" qemu_places B
	end_qemu
}

# A destination without nesting, or without nested paging, which L2 here runs with.
do_refused() {
	local L1=$L1_PAGING parameters
	for parameters in nested=0 npt=0; do
		on_b end_qemu
		on_b "reload_kvm '$parameters'" || fail "kvm_amd of B: $parameters"
		profile_of_b b
		pair
		migrate_qemu "$parameters" 1
		is_at "$parameters" qemu_places A
		new_destination
		migrate_qemu "$parameters, at the switchover" 1 --no-preflight
		is_at "$parameters, at the switchover" qemu_places A
	done
	on_b end_qemu
	on_b "reload_kvm nested=1" || fail "kvm_amd of B"
	profile_of_b b
	end_qemu
}

# L1's SMI handler has broken what RSM will load.
do_stuffed() {
	local L1=$L1_STUFFED
	new_source -bios /usr/share/qemu/qboot.rom
	new_destination
	wait_for_count "$GUEST_DIR" 20 90 || fail "L2 does not count to 20"
	sleep 3
	migrate_qemu "stuffed SMRAM" 1
	said_so "stuffed SMRAM" smm-cr0-pg-pe
	is_at "stuffed SMRAM" qemu_places A 150
	end_qemu
}

# The cable is pulled while RAM is on its way.
do_cut() {
	local pid
	pair
	slow 20000
	run_nestmig "cut" 2 migrate --qmp "$GUEST_DIR/qmp" --dest-qmp "tcp:$OTHER:$QMP_PORT" --timeout 10 \
		--dest "tcp:$OTHER:$STREAM_PORT" --listen "tcp:0:$STREAM_PORT" --host "$WORK/b.json" &
	pid=$!
	until_migration_is_active
	sleep 1
	busybox ip link set eth0 down
	wait "$pid"
	busybox ip link set eth0 up
	slow 0
	is_at "cut" qemu_places A
}

# The destination's QEMU is killed when the guest is stopped for the switchover.
do_killed() {
	local pid line
	pair
	run_nestmig "destination killed" 2 migrate --qmp "$GUEST_DIR/qmp" --dest-qmp "tcp:$OTHER:$QMP_PORT" \
		--dest "tcp:$OTHER:$STREAM_PORT" --listen "tcp:0:$STREAM_PORT" --host "$WORK/b.json" &
	pid=$!
	while IFS= read -r -t 60 line <&"$qmp_from"; do
		case $line in
		*'"event": "STOP"'*) break ;;
		esac
	done
	on_b 'kill -9 "$guest_pid"'
	wait "$pid"
	is_at "destination killed" qemu_places A
}

# ---- The gate ---------------------------------------------------------------------------------------

# Libvirt has both sides use one port, so the gate listens where B does, at its own address.
#
# open_gate [ARGUMENTS]: from here to B, until it listens; $gate is its process.
open_gate() {
	local tries
	"$NESTMIG" gate --listen "tcp:$ADDRESS:$STREAM_PORT" --connect "tcp:$OTHER:$STREAM_PORT" "$@" \
		>"$WORK/said.txt" 2>&1 </dev/null &
	gate=$!
	for ((tries = 0; tries < 100; tries++)); do
		grep -q "$(printf ':%04X 00000000:0000 0A' "$STREAM_PORT")" /proc/net/tcp && return
		sleep 0.1
	done
	fail "the gate does not listen: $(cat "$WORK/said.txt")"
}

# gate_ends WHAT STATUS
gate_ends() {
	local status=0
	wait "$gate" || status=$?
	{
		echo "== $1: nestmig gate: exit $status"
		cat "$WORK/said.txt"
	} >>"$OUT/said.txt"
	if [ "$status" = "$2" ]; then ok "$1: the gate's exit $status"; else
		bad "$1: the gate's exit $status, not $2: $(tail -n 8 "$WORK/said.txt")"
	fi
}

RETURN_PATH='{"capabilities":[{"capability":"return-path","state":true}]}'

# through_gate: the guest starts to leave; B waits behind the gate.
through_gate() {
	qmp migrate-set-capabilities "$RETURN_PATH" >/dev/null || fail "return-path"
	on_b "qmp migrate-set-capabilities '$RETURN_PATH'" >/dev/null || fail "B's return-path"
	on_b "qmp migrate-incoming '{\"uri\":\"tcp:0:$STREAM_PORT\"}'" >/dev/null || fail "B does not wait"
	qmp migrate "{\"uri\":\"tcp:$ADDRESS:$STREAM_PORT\"}" >/dev/null || fail "migrate"
}

do_gate() {
	pair
	open_gate --host "$WORK/b.json"
	through_gate
	gate_ends "through the gate" 0
	is_at "through the gate" qemu_places B
	end_qemu
}

do_gate_refused() {
	pair
	jq '.params["kvm_amd.nested"] = "0"' "$WORK/b.json" >"$WORK/none.json"
	open_gate --host "$WORK/none.json"
	through_gate
	gate_ends "gate, nested=0" 1
	is_at "gate, nested=0" qemu_places A
}

do_gate_killed() {
	local n place there=0 here=0 wrong=0
	for ((n = 1; n <= KILLS; n++)); do
		pair
		slow 300000
		open_gate --host "$WORK/b.json"
		through_gate
		sleep "$(printf '%d.%03d' $((RANDOM % 5)) $((RANDOM % 1000)))"
		kill -9 "$gate" 2>/dev/null
		wait "$gate" 2>/dev/null
		place=$(settled qemu_places 30)
		case $place in
		A) here=$((here + 1)) ;;
		B) there=$((there + 1)) ;;
		*) wrong=$((wrong + 1)) && bad "gate killed, $n: $place: $(qmp query-migrate)" ;;
		esac
		case $place in
		A | B) counts_on "gate killed, $n" "$place" >"$WORK/counted" || { cat "$WORK/counted" && wrong=$((wrong + 1)); } ;;
		esac
		echo "$SECONDS s: gate killed, $n: $place"
		[ "$place" = A ] || end_qemu
	done
	echo "the gate killed at $KILLS points: $here times the source ran on, $there times the destination"
	expect "gate killed: exactly one side runs the guest" [ $wrong = 0 ]
}

# ---- libvirt ----------------------------------------------------------------------------------------

has_libvirt=''

libvirt_on_both() {
	[ -z "$has_libvirt" ] || return
	has_libvirt=1
	end_qemu
	on_b end_qemu
	on_b "ready_libvirt hook" || fail "libvirt on B"
	ready_libvirt
	libvirt_define
	echo "$SECONDS s: both daemons run"
}

finish() {
	end_qemu
	[ -z "$has_libvirt" ] || { on_b libvirt_stop && libvirt_stop; }
	on_b end_qemu
}

# A domain counts here, unless it still does.
new_domain() {
	on_b "virsh_try 'destroy $GUEST'"
	[ "$(domain_state)" = running ] || { : >"$GUEST_DIR/com1" && virsh_do "start $GUEST"; }
	wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count under libvirt"
}

MOVE="migrate $GUEST qemu+tcp://$OTHER/system tcp://$OTHER --live --p2p --unsafe"

do_virsh() {
	new_domain
	virsh_do "$MOVE"
	is_at "virsh migrate" domain_places B
}

# B's hook refuses, and virsh says why.
do_virsh_refused() {
	new_domain
	on_b "reload_kvm nested=0" || fail "kvm_amd of B: nested=0"
	expect "virsh migrate, nested=0: fails" not virsh_try "$MOVE"
	echo "$said" >"$WORK/said.txt"
	said_so "virsh migrate, nested=0" "Hook script execution failed"
	said_so "virsh migrate, nested=0" "nested"
	is_at "virsh migrate, nested=0" domain_places A
	on_b "reload_kvm nested=1" || fail "kvm_amd of B"
}

do_domain() {
	new_domain
	move_domain "migrate --domain" 0 "tcp://$OTHER" --monitor
	is_at "migrate --domain" domain_places B
}

# move_domain WHAT STATUS URI [ARGUMENTS]
move_domain() {
	run_nestmig "$1" "$2" migrate --domain "$GUEST" --dest-connect "qemu+tcp://$OTHER/system" \
		--migrate-uri "$3" --unsafe --host "${PROFILE:-$WORK/b.json}" "${@:4}"
}

do_domain_refused() {
	local PROFILE=$WORK/none.json
	new_domain
	jq '.params["kvm_amd.nested"] = "0"' "$WORK/b.json" >"$PROFILE"
	move_domain "migrate --domain, nested=0" 1 "tcp://$OTHER" --monitor
	is_at "migrate --domain, nested=0" domain_places A
}

# The domain's QEMU migrates into the gate, which connects to the port where libvirt has the other listen.
do_domain_gate() {
	new_domain
	open_gate --host "$WORK/b.json"
	virsh_do "${MOVE/tcp:\/\/$OTHER /tcp:\/\/$ADDRESS:$STREAM_PORT } --listen-address $OTHER"
	gate_ends "virsh through the gate" 0
	is_at "virsh through the gate" domain_places B
}

do_domain_gate_refused() {
	new_domain
	jq '.params["kvm_amd.nested"] = "0"' "$WORK/b.json" >"$WORK/none.json"
	open_gate --host "$WORK/none.json"
	expect "virsh through the gate, nested=0: fails" not virsh_try \
		"${MOVE/tcp:\/\/$OTHER /tcp:\/\/$ADDRESS:$STREAM_PORT } --listen-address $OTHER"
	gate_ends "virsh through the gate, nested=0" 1
	is_at "virsh through the gate, nested=0" domain_places A
}

need qemu-system-x86_64 socat jq awk virsh
serve_b
profile_of_b b
for part in $TESTS; do
	case $part in
	virsh* | domain*) libvirt_on_both ;;
	esac
	"do_$part"
	echo "$SECONDS s: $part"
done
finish
echo "$failures failures"
[ "$failures" = 0 ]
