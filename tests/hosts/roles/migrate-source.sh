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

# counts_on WHAT A|B: L2 goes on there, after all that it has printed.
counts_on() {
	local last trouble there=''
	last=$(last_count "$GUEST_DIR/com1")
	[ "$2" = A ] || there=on_b
	if ! ${there:-eval} "wait_for_count $GUEST_DIR $((last + 5)) 60"; then
		bad "$1: L2 stands at $(${there:-eval} "counts $GUEST_DIR")after $last"
		return 1
	fi
	[ "$2" = A ] || on_b "cat $GUEST_DIR/com1" >"$WORK/there"
	trouble=$(cat "$GUEST_DIR/com1" ${there:+"$WORK/there"} | check_sequence 0)
	if [ -n "$trouble" ]; then bad "$1: $trouble"; else ok "$1: L2 counts on from $last at $2"; fi
	[ -z "$trouble" ]
}

# is_at WHAT PLACES A|B: only there, and it counts on.
is_at() {
	local place
	place=$(settled "$2" 30)
	if [ "$place" = "$3" ]; then
		counts_on "$1" "$3"
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

new_source() {
	start_qemu "$@"
	wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count: $(tail -n 1 "$GUEST_DIR/com1")"
}

new_destination() {
	on_b "start_qemu -incoming defer" || fail "B has no QEMU to come into"
}

# migrate_qemu WHAT STATUS [ARGUMENTS]
migrate_qemu() {
	local what=$1 status=$2
	shift 2
	run_nestmig "$what" "$status" migrate --qmp "$GUEST_DIR/qmp" --dest-qmp "tcp:$OTHER:$QMP_PORT" \
		--host "$WORK/b.json" "$@"
}

do_qemu() {
	new_source
	new_destination
	migrate_qemu "migrate" 0
	is_at "migrate" qemu_places B
	end_qemu
}

do_virsh() {
	virsh_do "start $GUEST"
	wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count under libvirt"
	virsh_do "migrate $GUEST qemu+tcp://$OTHER/system tcp://$OTHER --live --p2p --unsafe"
	is_at "virsh migrate" domain_places B
	on_b "virsh_do 'destroy $GUEST'"
}

need qemu-system-x86_64 socat jq awk virsh
serve_b
for part in $TESTS; do
	case $part in
	virsh | domain | hook) want_libvirt=1 ;;
	esac
done
on_b '"$NESTMIG" host --json' >"$WORK/b.json" || fail "no profile of B: $(cat "$WORK/b.json")"
if [ -n "${want_libvirt:-}" ]; then
	on_b "ready_libvirt" || fail "libvirt on B"
	ready_libvirt
	libvirt_define
	echo "$SECONDS s: both daemons run"
fi
for part in $TESTS; do
	"do_$part"
	echo "$SECONDS s: $part"
done
[ -z "${want_libvirt:-}" ] || { on_b libvirt_stop && libvirt_stop; }
on_b end_qemu
echo "$failures failures"
[ "$failures" = 0 ]
