# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
#
# What the guard's roles share (to be sourced, by bash and by busybox's sh): results, the guard's events, what it leaves
# in the kernel.

bpffs=/sys/fs/bpf/nestmig-guard
failures=0

mkdir -p /sys/kernel/security
[ -e /sys/kernel/security/lsm ] || mount -t securityfs securityfs /sys/kernel/security

ok() {
	echo "ok $*"
}

bad() {
	echo "FAILED $*"
	failures=$((failures + 1))
}

# expect WHAT COMMAND...: the command succeeds
expect() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else bad "$what"; fi
}

# counter EVENTS NAME
counter() {
	awk -v name="$2" '$1 == "counter" && $2 == name { print $3 }' "$1"
}

# has EVENTS WORD...: an event with all of these words
has() {
	local lines word
	lines=$(grep '^event ' "$1")
	shift
	for word; do
		lines=$(echo "$lines" | grep -e " $word\( \|$\)")
	done
	[ -n "$lines" ]
}

# says FILE TEXT: the line is there as it stands
says() {
	grep -q -- "^$2" "$1"
}

# Nothing else in a host makes links.
programs_left() {
	find "$bpffs" 2>/dev/null
	bpftool prog list 2>/dev/null | grep nm_guard
	bpftool map list 2>/dev/null | grep ' nm_'
	bpftool link list 2>/dev/null
}

# BPF frees what it holds after a grace period.
nothing_is_left() {
	local tries
	for tries in $(seq 20); do
		[ -z "$(programs_left)" ] && return
		sleep 0.5
	done
	programs_left
	return 1
}
