#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gate.sh BUILD [TEST...]: real migrations through `nestmig gate`, between QEMUs under TCG (vms.sh). A state that is
# bad is made by a guest that sets CR0.NW without CD: TCG takes that, no processor does. KILLS: how many times the
# gate is killed (default 50).
set -uo pipefail

build=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)

# shellcheck source=vms.sh
. "$here/vms.sh"

gate=
good=(-drive "file=good.qcow2,if=virtio")
bad=(-drive "file=bad.qcow2,if=virtio")

# ---- The gate -----------------------------------------------------------------------------------

# open_gate [OPTION...]: from unix:in to unix:out, until it listens.
open_gate() {
	local i
	rm -f in
	"$nestmig" gate --listen unix:in --connect unix:out --host host.json "$@" </dev/null >out.txt 2>err.txt &
	gate=$!
	for ((i = 0; i < 300; i++)); do
		[ ! -S in ] || return
		sleep 0.1
	done
	complain "the gate does not listen: $(<err.txt)"
}

# gate_ends STATUS [TEXT]: a regular expression, on standard output and standard error together.
gate_ends() {
	local status i
	for ((i = 0; i < 300; i++)); do
		kill -0 "$gate" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$gate" 2>/dev/null && complain "the gate is still there after 30 s"
	wait "$gate" 2>/dev/null
	status=$?
	gate=
	[ $status = "$1" ] || complain "the gate: exit status $status, not $1: $(cat out.txt err.txt)"
	[ $# = 1 ] || grep -qE -- "$2" out.txt err.txt || complain "the gate does not say \"$2\": $(cat out.txt err.txt)"
}

# two [OPTION...]: source a, which counts, and destination b, which waits at unix:out; both with a return path.
two() {
	start_counting a "$@"
	start b -incoming defer "$@"
	capability a return-path true
	capability b return-path true
}

# wait_for URI: the destination does.
wait_for() {
	ask b migrate-incoming "{\"uri\":\"$1\"}" >/dev/null
}

# migrate VM [URI]: as fast as it goes.
migrate() {
	ask "$1" migrate-set-parameters '{"max-bandwidth": 10000000000}' >/dev/null
	ask "$1" migrate "{\"uri\":\"${2-unix:in}\"}" >/dev/null
}

status_of() {
	ask "$1" query-migrate | jq -r .return.status
}

# ended VM STATUS: its migration has, so.
ended() {
	local i
	for ((i = 0; i < 300; i++)); do
		case $(status_of "$1") in
		completed | failed | cancelled) break ;;
		esac
		sleep 0.1
	done
	is "migration of $1" "$(status_of "$1")" "$2"
}

lives() {
	kill -0 "${qemu[$1]}" 2>/dev/null
}

# moved FROM: b counts on from there without a gap, a stands still.
moved() {
	ended a completed
	runs b || complain "the destination does not count"
	is "source" "$(state a)" postmigrate
	[ -n "$(first_count b)" ] || return
	# The line that was being written when it moved has its two halves on two sides.
	[ $((16#$(first_count b) - 16#$(last_count a))) -le 2 ] ||
		complain "from $(last_count a) to $(first_count b): a gap"
	[[ $(first_count b) > $1 ]] || complain "the destination counts from $(first_count b), before $1"
}

# stayed: a counts on, b has never run.
stayed() {
	runs a || complain "the source does not go on"
	is "source" "$(state a)" running
	[ -z "$(first_count b)" ] || complain "the destination has run"
	! lives b || [ "$(state b)" = inmigrate ] || complain "the destination is $(state b)"
}

# ---- Good and bad -------------------------------------------------------------------------------

test_passed() {
	local from
	two "${good[@]}"
	wait_for unix:out
	open_gate
	from=$(last_count a)
	migrate a
	moved "$from"
	gate_ends 0 'passed on; the destination has taken the VM over'
	grep -q 'vCPU 0' out.txt || complain "no report: $(<out.txt)"
	[ ! -e in ] || complain "the socket file is left behind"
}

test_passed_json() {
	two "${good[@]}"
	wait_for unix:out
	open_gate --json
	migrate a
	moved 0
	gate_ends 0
	is "JSON" "$(jq -c '[.schema, .connect, .outcome, .verdict == .report.verdict, .return_path, .connections,
		.bytes > 1e5, .held_bytes > 10000, .held_ms > 0, .judged_ms > 0, .report.schema]' out.txt)" \
		'["nestmig.gate/1","unix:out","taken-over",true,true,1,true,true,true,true,"nestmig.report/1"]'
}

test_cut() {
	two "${bad[@]}"
	wait_for unix:out
	open_gate
	migrate a
	ended a failed
	gate_ends 1 'cut; the destination has no VM, and the source goes on'
	grep -q evt-sregs-cr0-nwcd out.txt || complain "does not name the rule: $(<out.txt)"
	stayed
}

# --keep: a second one through the same gate.
test_cut_then_passed() {
	two "${bad[@]}"
	wait_for unix:out
	open_gate --json --keep
	migrate a
	ended a failed
	stayed
	stop a b
	two "${good[@]}"
	wait_for unix:out
	migrate a
	moved 0
	kill "$gate"
	gate_ends 2
	is "JSON" "$(jq -c .outcome <out.txt | head -n 2 | tr '\n' ' ')" '"cut" "taken-over" '
}

# replay FILE [OPTION...]: a stream as it was recorded, through the gate to a socket that keeps what comes in got.
replay() {
	local file=$1
	shift
	rm -f out got
	timeout 10 socat -u UNIX-LISTEN:out CREATE:got &
	open_gate "$@"
	while [ ! -S out ]; do sleep 0.05; done
	socat -u -b 65536 "OPEN:$file" UNIX-CONNECT:in 2>/dev/null
}

# What was recorded by QEMUs of all kinds passes to the byte.
test_replayed() {
	local packed
	for packed in "$here"/../cases/streams/{full,tcg-}*.qemu.*; do
		[[ $packed != *bitmaps* && $packed != *return-path* ]] || continue # with postcopy
		case $packed in
		*.zst) zstd -qdc "$packed" >stream ;;
		*.xz) xz -dc "$packed" >stream ;;
		esac
		replay stream --one-way --host none
		gate_ends 0 'passed on'
		wait
		cmp stream got || complain "$packed is not what comes out"
	done
}

# Every cut of a stream is none: nothing of the devices comes out.
test_truncated() {
	local size devices at
	zstd -qdc "$here/../cases/streams/full1.qemu.zst" >stream
	size=$(stat -c %s stream)
	devices=$(grep -obUaP '\x04\x00{3}.\x05timer' stream | sed -n '1s/:.*//p')
	for at in 1 7 100 $((size / 2)) $((devices - 1)) $((devices + 1)) $((size - 5000)) $((size - 1)); do
		head -c "$at" stream >short
		replay short --timeout 2 --one-way
		[ "$at" -ge 4 ] || kill "$gate"
		gate_ends 2
		wait
		[ ! -e got ] || [ "$(stat -c %s got)" -le "$devices" ] || complain "cut at $at: $(stat -c %s got) bytes came out"
	done
}

# What is unknown passes, but not with --strict.
test_strict() {
	zstd -qdc "$here/../cases/streams/full1.qemu.zst" >stream
	replay stream --one-way --host none --strict
	gate_ends 1 'cut; .*postmigrate'
	wait
	[ "$(stat -c %s got)" -lt "$(stat -c %s stream)" ] || complain "all came out"
	replay stream --one-way --host none
	gate_ends 0 'Not everything could be judged'
	wait
}

test_tcp() {
	local from port
	port=$((20000 + RANDOM % 10000))
	two "${good[@]}"
	wait_for "tcp:127.0.0.1:$((port + 1))"
	"$nestmig" gate --listen "tcp:127.0.0.1:$port" --connect "tcp:127.0.0.1:$((port + 1))" --host host.json \
		</dev/null >out.txt 2>err.txt &
	gate=$!
	sleep 0.5
	from=$(last_count a)
	migrate a "tcp:127.0.0.1:$port"
	moved "$from"
	gate_ends 0 'passed on; the destination has taken the VM over'
}

test_multifd() {
	local vm
	two "${good[@]}" -m 256
	for vm in a b; do
		capability $vm multifd true
		ask $vm migrate-set-parameters '{"multifd-channels": 4}' >/dev/null
	done
	wait_for unix:out
	open_gate --json
	migrate a
	moved 0
	gate_ends 0
	is "connections" "$(jq .connections out.txt)" 5
}

test_multifd_cut() {
	local vm
	two "${bad[@]}" -m 256
	for vm in a b; do
		capability $vm multifd true
	done
	wait_for unix:out
	open_gate
	migrate a
	ended a failed
	gate_ends 1 'the source goes on'
	stayed
}

test_xbzrle() {
	two "${good[@]}"
	capability a xbzrle true
	capability b xbzrle true
	wait_for unix:out
	open_gate
	migrate a
	moved 0
	gate_ends 0 'has taken the VM over'
}

# A QEMU whose streams have no vmdesc: the end is where nothing more comes.
test_no_vmdesc() {
	two "${good[@]}" -M q35,suppress-vmdesc=on
	wait_for unix:out
	open_gate
	migrate a
	moved 0
	gate_ends 0 'has taken the VM over'
}

test_pause_before_switchover() {
	local i
	two "${good[@]}"
	capability a pause-before-switchover true
	wait_for unix:out
	open_gate
	migrate a
	for ((i = 0; i < 300; i++)); do
		[ "$(status_of a)" != pre-switchover ] || break
		sleep 0.1
	done
	ask a migrate-continue '{"state":"pre-switchover"}' >/dev/null
	moved 0
	gate_ends 0 'has taken the VM over'
}

# ---- What is not passed on ----------------------------------------------------------------------

test_one_way() {
	two "${good[@]}"
	capability a return-path false
	capability b return-path false
	wait_for unix:out
	open_gate
	migrate a
	ended a failed
	gate_ends 2 'opens no return path'
	stayed
}

test_one_way_passed() {
	two "${good[@]}"
	capability a return-path false
	capability b return-path false
	wait_for unix:out
	open_gate --one-way
	migrate a
	moved 0
	gate_ends 0 'does not say whether'
}

# The VM stands still at the source, whole.
test_one_way_cut() {
	two "${bad[@]}"
	capability a return-path false
	capability b return-path false
	wait_for unix:out
	open_gate --one-way
	migrate a
	ended a completed
	gate_ends 1 'stands still \(postmigrate\), until .cont.'
	[ -z "$(first_count b)" ] || complain "the destination has run"
	is "source" "$(state a)" postmigrate
	ask a cont >/dev/null
	runs a || complain "the source does not go on after cont"
}

test_postcopy() {
	two "${good[@]}"
	capability a postcopy-ram true
	capability b postcopy-ram true
	wait_for unix:out
	open_gate
	migrate a
	ended a failed
	gate_ends 2 'postcopy .* is on at the source'
	stayed
}

test_tls() {
	two "${good[@]}"
	wait_for unix:out
	open_gate
	printf '\026\003\001\000\005hello' | timeout 5 socat - UNIX-CONNECT:in >/dev/null
	gate_ends 2 'encrypted \(TLS\)'
	stayed
}

# Others who connect are told nothing, and the destination is not bothered.
test_stranger() {
	two "${good[@]}"
	wait_for unix:out
	open_gate
	echo 'GET / HTTP/1.0' | timeout 5 socat - UNIX-CONNECT:in >/dev/null
	timeout 5 socat - UNIX-CONNECT:in </dev/null >/dev/null
	migrate a
	moved 0
	gate_ends 0 'has taken the VM over'
	is "refused" "$(grep -c 'a connection was refused' err.txt)" 2
}

# Who says nothing has no place for ever, and nobody who connects later ends a migration.
test_late_strangers() {
	local idle
	two "${good[@]}"
	wait_for unix:out
	open_gate --timeout 5
	socat -u UNIX-CONNECT:in /dev/null &
	idle=$!
	for ((i = 0; i < 100; i++)); do
		kill -0 $idle 2>/dev/null || break
		sleep 0.1
	done
	kill $idle 2>/dev/null && complain "a connection that says nothing stays"
	ask a migrate-set-parameters '{"max-bandwidth": 100000}' >/dev/null
	ask a migrate '{"uri":"unix:in"}' >/dev/null
	sleep 0.5
	printf '\026\003\001\000\005hello' | timeout 5 socat - UNIX-CONNECT:in >/dev/null
	ask a migrate-set-parameters '{"max-bandwidth": 10000000000}' >/dev/null
	moved 0
	gate_ends 0 'has taken the VM over'
	is "refused" "$(grep -c 'a connection was refused' err.txt)" 2
}

# ---- What dies ----------------------------------------------------------------------------------

test_no_destination() {
	two "${good[@]}"
	open_gate
	migrate a
	ended a failed
	gate_ends 2 'cannot connect to unix:out'
	stayed
}

# slow VM: its migration takes long.
slow() {
	ask "$1" migrate-set-parameters '{"max-bandwidth": 10000000}' >/dev/null
	ask "$1" migrate '{"uri":"unix:in"}' >/dev/null
	sleep 0.7
	is "migration of $1" "$(status_of "$1")" active
}

test_destination_killed() {
	two "${good[@]}" -m 256
	wait_for unix:out
	open_gate
	slow a
	kill -9 "${qemu[b]}"
	ended a failed
	gate_ends 2 'the destination has closed|writing to the destination'
	runs a || complain "the source does not go on"
}

test_source_killed() {
	two "${good[@]}" -m 256
	wait_for unix:out
	open_gate
	slow a
	kill -9 "${qemu[a]}"
	gate_ends 2 'the source has closed|reading from the source'
	[ -z "$(first_count b)" ] || complain "the destination has run"
}

test_cancelled() {
	two "${good[@]}" -m 256
	wait_for unix:out
	open_gate
	slow a
	ask a migrate_cancel >/dev/null
	gate_ends 2 'failed or was cancelled'
	ended a cancelled
	stayed
}

test_interrupted() {
	two "${good[@]}" -m 256
	wait_for unix:out
	open_gate
	slow a
	kill -INT "$gate"
	gate_ends 2 'interrupted'
	ended a failed
	stayed
}

# relay_of PID: the process that reads the stream; the other child judges.
relay_of() {
	local child
	for child in $(pgrep -P "$1"); do
		[ "$(find "/proc/$child/fd" -lname 'socket:*' 2>/dev/null | wc -l)" -le 2 ] || echo "$child"
	done | tail -n 1
}

# One of keeper and relay is killed, at any moment: exactly one side runs the guest.
test_killed() {
	local i j victim delay runs_a runs_b a=0 b=0
	for ((i = 0; i < ${KILLS:-50}; i++)); do
		two "${good[@]}"
		wait_for unix:out
		open_gate
		delay=0.$(printf %03d $((RANDOM % 600)))
		migrate a &
		sleep "$delay"
		victim=$gate
		[ $((i % 2)) = 0 ] || victim=$(relay_of "$gate")
		[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
		wait $!
		for ((j = 0; j < 300; j++)); do
			kill -0 "$gate" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$gate" 2>/dev/null && complain "the gate is still there (kill $i at $delay s)"
		wait "$gate" 2>/dev/null
		for ((j = 0; j < 300; j++)); do
			case "$(status_of a) $(state a) $(state b)" in
			completed*running* | failed*running* | null*running*) break ;;
			esac
			sleep 0.1
		done
		runs_a=0 runs_b=0
		if [ "$(state a)" = running ]; then
			! runs a || runs_a=1
			stands b || runs_b=1
		else
			stands a || runs_a=1
			! runs b || runs_b=1
		fi
		[ $((runs_a + runs_b)) = 1 ] ||
			complain "$((runs_a + runs_b)) sides run (kill $i at $delay s): a $(state a), b $(state b)"
		a=$((a + runs_a))
		b=$((b + runs_b))
		stop a b
		rm -f in out
	done
	echo "    of $i kills: the source went on after $a, the destination after $b"
}

# ---- The run ------------------------------------------------------------------------------------

for kind in bad good; do
	[ $kind = good ] && options=() || options=(--defsym BAD=1)
	if ! make_guest "${options[@]}" || ! mv count.qcow2 $kind.qcow2; then
		echo "cannot make the guest" >&2
		exit 2
	fi
done
"$nestmig" host --root "$here/../cases/host-amd-6.1" --save host.json || exit 2
run_tests gate "$here/gate.sh" "$@"
