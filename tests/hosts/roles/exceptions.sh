#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Seed 003: what QEMU's stream carries of an exception that is on its way while L2 runs. Puts one into
# the snapshot $OUT/guest1.nms, restores that into a QEMU that stays paused, so that KVM has it and does
# not deliver it, saves it again and looks at what QEMU wrote. One is then let loose. Environment: as in
# common.sh, and NESTMIG_POKE.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# name, vector, has an error code, what is added (none: it counts as injected); then what QEMU must
# write: vector, injected, has an error code, pending, has a payload, payload. The last three are in its
# subsection cpu/exception_info, which comes with pending ones only. All but booleans in hex.
# KVM_GET_VCPU_EVENTS never reports #BP and #OF: that one is lost, and QEMU's vector is -1.
CASES='
injected-ud		6  0 -			6 1 0 0 0 0
injected-gp		d  1 -			d 1 1 0 0 0
injected-bp		3  0 -			ff 0 0 0 0 0
pending-pf-payload	e  1 payload=0x123456000	e 0 1 1 1 123456000
pending-db-payload	1  0 payload=0x4001	1 0 0 1 1 4001
'

# What a file says of the exception, in the order of CASES, and of what a stream has no place for.
carried() {
	"$NESTMIG" inspect --json "$1" | jq -r '.vcpus[0].fields as $f | ["exception_nr",
		"exception_injected", "exception_has_error_code", "exception_pending", "exception_has_payload",
		"exception_payload", "exception_error_code", "interrupt_shadow"] |
		map($f["events.\(.)"].value // "absent" | ltrimstr("0x")) | join(" ")'
}

# put_exception NAME VECTOR HAS_ERROR_CODE ADDED: into $WORK/NAME.nms, with L1 intercepting #PF.
put_exception() {
	local to=$WORK/$1.nms changes=(vcpu0.events.exception_nr "0x$2"
		vcpu0.events.exception_has_error_code "$3" vcpu0.vmcb12.control.intercept_exceptions 0x4000)
	[ "$4" = - ] || changes+=("vcpu0.events.exception_${4%%=*}" "${4#*=}")
	"$NESTMIG_POKE" "$OUT/guest1.nms" "$to" "${changes[@]}" ||
		fail "$1: cannot put the exception into the snapshot"
}

# By force: nothing is asked here about what nestmig foretells of the exception.
restore_paused() {
	start_guest "$WORK/$1" -S -incoming defer
	"$NESTMIG" restore "$WORK/$1.nms" --qmp "$WORK/$1/qmp" --force --watch 0 >"$WORK/$1.restore" 2>&1 ||
		fail "$1: nestmig restore: $? $(tail -n 5 "$WORK/$1.restore")"
}

# check_rules NAME HAS_ERROR_CODE: nestmig must know what it does not know, after the round trip too.
check_rules() {
	local rules expected=evt-intr-shadow-absent
	[ "$2" = 0 ] || expected="evt-q-exception-error-code $expected"
	rules=$("$NESTMIG" validate "$WORK/$1-again.nms" |
		grep -o -w -e evt-q-exception-error-code -e evt-intr-shadow-absent | tr '\n' ' ')
	[ "$rules" = "$expected " ] || fail "003-stream-$1: nestmig names \"$rules\", not \"$expected\""
}

# A pending #PF that L1 intercepts: its exit information says the payload, and an error code of 0.
let_loose() {
	local exit='' tries
	[ "$(vm_status)" = paused ] || fail "003-stream-$1: QEMU is $(vm_status), not paused"
	[ ! -s "$WORK/$1/com1" ] || fail "003-stream-$1: it ran before it was told to"
	qmp cont >/dev/null
	for ((tries = 0; tries < 100 && ${#exit} == 0; tries++)); do
		exit=$(sed -n 's/^L1 cpu0 \(exit [0-9a-f]* info1 [0-9a-f]* info2 [0-9a-f]*\)$/\1/p' "$WORK/$1/com1")
		sleep 0.1
	done
	[ "$exit" = "$(printf 'exit %016x info1 %016x info2 %016x' 0x4e 0 0x123456000)" ] ||
		fail "003-stream-$1: L1 sees \"$exit\": $(tail -n 1 "$WORK/$1/com1")"
	echo "003-stream-$1-to-l1: as expected"
}

round_trip() {
	local name=$1 expected="$5 absent absent" seen
	put_exception "$name" "$2" "$3" "$4"
	restore_paused "$name"
	"$NESTMIG" snapshot --state-only --qmp "$WORK/$name/qmp" "$WORK/$name-again.nms" \
		>"$WORK/$name.save" 2>&1 || fail "$name: nestmig snapshot: $? $(tail -n 5 "$WORK/$name.save")"
	[ "$name" != pending-pf-payload ] || let_loose "$name"
	stop_guest
	seen=$(carried "$WORK/$name-again.nms")
	[ "$seen" = "$expected" ] || fail "003-stream-$name: \"$expected\" expected, QEMU wrote \"$seen\""
	check_rules "$name" "$3"
	echo "003-stream-$name: as expected"
}

need qemu-system-x86_64 socat jq
[ $(($("$NESTMIG" inspect --field nested_state.flags "$OUT/guest1.nms") & 1)) -eq 1 ] ||
	fail "the snapshot was taken while L1 ran"
while read -r name vector has_error_code added expected; do
	[ -z "$name" ] || round_trip "$name" "$vector" "$has_error_code" "$added" "$expected" </dev/null
done <<<"$CASES"
echo "what QEMU's stream carries of an exception is as expected ($SECONDS s)"
