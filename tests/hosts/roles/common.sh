# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the roles share (to be sourced): the nested guest, its counts, its end.
#
# From the environment:
#   NESTMIG       the program under test
#   L1            the nested guest, made by l1/build.sh
#   OUT           directory for what the caller wants to keep
#   CPUS          vCPUs of the guest, 1 or 2
#   ADDRESS, PORT where the source serves the snapshot
set -u

# shellcheck source=../qmp.sh
. "$(dirname "${BASH_SOURCE[0]}")/../qmp.sh"

CPUS=${CPUS:-1}
ADDRESS=${ADDRESS:-127.0.0.1}
PORT=$((${PORT:-7077} + CPUS))
WORK=$(mktemp -d)
guest_pid='' guest_dir=''

cleanup() {
	qmp_close
	[ -z "$guest_pid" ] || kill "$(cat "$guest_dir/pid")" 2>/dev/null
	rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
# A QEMU that is gone must not end the script when it is spoken to.
trap '' PIPE

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

need() {
	local program
	for program; do
		command -v "$program" >/dev/null || fail "$program is not installed: see tests/hosts/README.md"
	done
}

# start_guest DIR [QEMU ARGUMENTS]: sockets DIR/qmp (for nestmig) and DIR/monitor (for us), serial
# ports to DIR/com1 and DIR/com2. $guest_wrapper, if set, is a command in front of QEMU.
start_guest() {
	local dir=$1
	shift
	guest_dir=$dir
	mkdir -p "$dir"
	: >"$dir/com1" && : >"$dir/com2"
	${guest_wrapper:-} qemu-system-x86_64 -name "nested-$CPUS" -accel kvm -cpu host -M q35 -m 64 \
		-smp "$CPUS" -nodefaults -no-user-config -display none ${L1:+-kernel "$L1"} \
		-pidfile "$dir/pid" \
		-serial "file:$dir/com1" -serial "file:$dir/com2" \
		-qmp "unix:$dir/qmp,server=on,wait=off" \
		-qmp "unix:$dir/monitor,server=on,wait=off" "$@" \
		>"$dir/qemu.log" 2>&1 </dev/null &
	guest_pid=$!
	qmp_open "$dir/monitor" || fail "QEMU does not start: $(tail -n 3 "$dir/qemu.log")"
}

# A QEMU told to quit does so at once; whatever runs it (strace) then ends with it.
stop_guest() {
	qmp quit >/dev/null 2>&1
	qmp_close
	wait "$guest_pid" 2>/dev/null
	guest_pid=''
}

# save_devices FILE: the guest's device state, no RAM.
save_devices() {
	rm -f "$1"
	qmp xen-save-devices-state "{\"filename\":\"$1\",\"live\":false}" >/dev/null ||
		fail "xen-save-devices-state: $1"
}

# Is L2 active on every vCPU of this device state, or on one of this stream? KVM gives no VMCB else.
has_l2() {
	[ "$(grep -a -o kvm_nested_state/svm "$1" | wc -l)" -ge "$CPUS" ]
}

# stop_in_l2 FILE: stops the guest, FILE gets its device state. A stop while L1 runs, between two entries
# of L2, gives a state without L2 in it: rare, try again.
stop_in_l2() {
	local tries
	for ((tries = 0; tries < 20; tries++)); do
		qmp stop >/dev/null
		save_devices "$1"
		has_l2 "$1" && return
		qmp cont >/dev/null
		sleep 0.1
	done
	fail "L2 was never running when the guest was stopped"
}

vm_status() {
	qmp query-status 2>/dev/null | jq -r .return.status
}

# The last count that is on the line completely, as a plain number; 0 before the first.
last_count() {
	local count
	count=$(sed -n 's/^L2 cpu[01] count \([0-9]\{8\}\)$/\1/p' "$1" | tail -n 1)
	echo $((10#${count:-0}))
}

# wait_for_count DIR NUMBER SECONDS: until every vCPU's L2 has counted that far.
wait_for_count() {
	local deadline=$((SECONDS + $3)) cpu
	for ((cpu = 1; cpu <= CPUS; cpu++)); do
		while [ "$(last_count "$1/com$cpu")" -lt "$2" ]; do
			((SECONDS < deadline)) || return 1
			sleep 0.2
		done
	done
}

counts() {
	local cpu
	for ((cpu = 1; cpu <= CPUS; cpu++)); do
		printf '%s ' "$(last_count "$1/com$cpu")"
	done
}

# check_sequence CPU: all that one L2 has printed, wherever it ran, must be 1, 2, 3, ...; the last line may be
# unfinished. Says what it is else.
check_sequence() {
	awk -v cpu="$1" '
		/^L1 / { print; failed = 1; exit 1 }
		bad != "" { print "line " NR - 1 " is \"" bad "\""; failed = 1; exit 1 }
		$0 !~ "^L2 cpu" cpu " count [0-9]+$" || length($4) != 8 { bad = $0; next }
		$4 + 0 != last + 1 { print "count " $4 + 0 " follows " last + 0; failed = 1; exit 1 }
		{ last = $4 + 0 }
		END { exit failed }'
}
