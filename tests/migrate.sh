#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# migrate.sh BUILD [TEST...]: `nestmig migrate` between real QEMUs under TCG (cli/vms.sh), whole and with
# every part of it killed: in the end exactly one side runs the guest. RANDOM_SEED draws other moments,
# KILLS is how many of them.
set -uo pipefail

build=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)/cli
work=$(mktemp -d)
RANDOM=${RANDOM_SEED:-$((20261121 % 32768))}
# shellcheck source=cli/vms.sh
. "$here/vms.sh"

disk=(-drive "file=count.qcow2,if=virtio")
migrate=

# ---- Helpers ------------------------------------------------------------------------------------

# destination [OPTION...]: b, which waits.
destination() {
	start b -incoming defer "${disk[@]}" "$@"
}

# pair [OPTION...]: a, which counts, and b.
pair() {
	start_counting a "${disk[@]}" "$@"
	destination "$@"
}

# continues: what a and then b have printed is one sequence; a line may be begun here and ended there.
continues() {
	local said
	said=$(cat a.serial b.serial | tr -d '\r' | awk '
		function number(text, i, n) {
			for (i = 1; i <= length(text); i++)
				n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
			return n
		}
		seen { if (length(bad)) { print bad; exit } }
		/^[0-9a-f]+$/ && length($0) == 8 {
			if (seen && number($0) != last + 1) { print $0 " follows " last; exit }
			seen = 1
			last = number($0)
			next
		}
		seen { bad = "a line \"" $0 "\"" }')
	is "counts of both sides" "$said" ""
}

# at_destination: b runs and goes on from where a stopped.
at_destination() {
	is "state of a" "$(state a)" postmigrate
	is "state of b" "$(state b)" running
	runs b || complain "b does not count"
	stands a || complain "a still counts"
	continues
}

# at_source: a runs, b does not.
at_source() {
	wait_state a running
	runs a || complain "a does not go on"
	case $(state b) in
	'' | inmigrate | null) ;;
	*) complain "b is \"$(state b)\"" ;;
	esac
	[ ! -s b.serial ] || complain "b has run"
	is "pause-before-switchover of a" "$(capability_of a pause-before-switchover)" "${1-false}"
}

capability_of() {
	ask "$1" query-migrate-capabilities |
		jq -r ".return[] | select(.capability == \"$2\").state"
}

# one_runs: exactly one of a and b counts; if it is b, from where a stopped.
one_runs() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		if [ "$(state a)" = running ]; then
			at_source "$(capability_of a pause-before-switchover)"
			return
		elif [ "$(state b)" = running ]; then
			at_destination
			return
		fi
		sleep 0.1
	done
	complain "neither runs: a is \"$(state a)\", b is \"$(state b)\": $(cat out err)"
}

# profiles: good.json, and bad.json, which takes no EFER.SVME (kvm_valid_efer in __set_sregs, Linux 7.1).
profiles() {
	"$nestmig" host --root "$here/../cases/host-amd-6.1" --json |
		jq -c '.kernel = "7.1.0"' >good.json
	jq -c '.params["kvm_amd.nested"] = "0"' good.json >bad.json
}

# stops: how often a has been stopped.
stops() {
	grep -c '"STOP"' a.record
}

# begin [OPTION...]: a migration of 128 MiB that takes more than a second.
begin() {
	stopped=$(stops)
	"$nestmig" migrate --qmp a.nestmig --host good.json --bandwidth "${bandwidth:-100}" "$@" \
		</dev/null >out 2>err &
	migrate=$!
}

# waits SECONDS: for the end of it; its exit status is in $status.
waits() {
	local i
	for ((i = 0; i < $1 * 10; i++)); do
		kill -0 "$migrate" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$migrate" 2>/dev/null && complain "still there after $1 s"
	wait "$migrate" 2>/dev/null
	status=$?
}

# ---- Whole --------------------------------------------------------------------------------------

test_good() {
	pair
	ends 0 'migrated in .*; the VM is at the destination \(source: postmigrate, destination: running\)' \
		migrate --qmp a.nestmig --dest-qmp b.nestmig --host good.json
	grep -q 'at the switchover: ok; nesting is offered to 1, SVM or VMX is on in 1, L2 is active in 0 of 1 vCPU' out ||
		complain "levels: $(<out)"
	at_destination
	ends 2 'has been saved or migrated already' migrate --qmp a.nestmig --dest-qmp b.nestmig --host good.json
	ends 2 'this QEMU is "postmigrate": start one with -incoming defer' \
		migrate --qmp b.nestmig --dest-qmp a.nestmig --host good.json
}

test_json() {
	pair -smp 2
	ends 0 . migrate --qmp a.nestmig --dest-qmp b.nestmig --host good.json --json --multifd 2 \
		--dest unix:way
	is "JSON" "$(jq -c '[.schema, .vm, .migrated, .refused, .at, .source, .destination, .reason,
		.preflight.verdict, .check.verdict, .check.levels.vcpus, .check.report.schema,
		.check.ms > 0 and .check.ms < .downtime_ms, .ram_bytes > 0, .total_ms > 0]' out)" \
		'["nestmig.migrate/1","a.nestmig",true,false,"destination","postmigrate","running",null,"ok","ok",2,"nestmig.report/1",true,true,true]'
	at_destination
}

test_refused() {
	pair
	ends 1 'refused, nothing was sent' migrate --qmp a.nestmig --dest-qmp b.nestmig --host bad.json
	grep -q 'error evt-sregs-efer' out || complain "the reason: $(<out)"
	is "query-migrate of b" "$(ask b query-migrate | jq -c .return)" '{}'
	at_source
	ends 1 'refused at the switchover: SVM or VMX is on in 1 of 1 vCPUs, and the destination.s KVM has nested=0; .* at the source \(source: running' \
		migrate --qmp a.nestmig --dest-qmp b.nestmig --host bad.json --no-preflight
	grep -q 'error evt-sregs-efer' out || complain "the reason: $(<out)"
	at_source
	stop b
	destination
	ends 1 'refused' migrate --qmp a.nestmig --dest-qmp b.nestmig --host none --strict
	ends 0 'at the switchover: fail' migrate --qmp a.nestmig --dest-qmp b.nestmig --host bad.json --force
	at_destination
}

test_uri() {
	start_counting a "${disk[@]}"
	start b -incoming unix:way "${disk[@]}"
	ends 0 'at the destination \(source: postmigrate, destination: unknown\)' \
		migrate --qmp a.nestmig --dest unix:way --host good.json
	at_destination
}

# A VM that was paused stays so, whoever starts the destination; and goes on when it is told to.
test_paused() {
	local way
	for way in qmp uri; do
		start_counting a "${disk[@]}"
		ask a stop >/dev/null
		if [ $way = qmp ]; then
			destination
			ends 0 'destination: paused' migrate --qmp a.nestmig --dest-qmp b.nestmig --host good.json
		else
			start b -incoming unix:way "${disk[@]}"
			ends 0 'source: postmigrate' migrate --qmp a.nestmig --dest unix:way --host good.json
		fi
		wait_state b paused
		stands b || complain "a VM that was paused runs"
		ask b cont >/dev/null
		at_destination
		stop a b
	done
	pair
	ends 0 'destination: paused' migrate --qmp a.nestmig --dest-qmp b.nestmig --host good.json --paused
	ask b cont >/dev/null
	at_destination
}

test_not_fit() {
	start_counting a "${disk[@]}"
	destination -smp 2
	ends 2 'this QEMU has 2 vCPUs, but the state only 1' migrate --qmp a.nestmig --dest-qmp b.nestmig --host none
	stop b
	destination -M pc
	ends 2 'and this QEMU has a "pc-i440fx' migrate --qmp a.nestmig --dest-qmp b.nestmig --host none
	at_source
	stop b
	ends 2 'cannot connect to b.nestmig' migrate --qmp a.nestmig --dest-qmp b.nestmig --host none
	ends 2 'the migration has failed: Failed to connect' migrate --qmp a.nestmig --dest unix:nowhere --host none
	grep -q 'at the source (source: running' out || complain "says: $(<out)"
	at_source
}

# ---- Killed -------------------------------------------------------------------------------------

# at_random: a moment in a migration that begin has begun.
at_random() {
	sleep "$(awk "BEGIN { print $RANDOM / 32768 * 2 }")"
}

# at_switchover: until a is stopped for it.
at_switchover() {
	while kill -0 "$migrate" 2>/dev/null && [ "$(stops)" = "$stopped" ]; do :; done
}

# told: one that failed after it had begun says who has the VM.
told() {
	[ $status = 0 ] || grep -q 'at the source (source: running' out ||
		grep -q 'cannot connect to' err || complain "says: $(cat out err)"
}

# again: a fresh pair, unless the last migration left a running and only b has to be replaced.
again() {
	if [ -n "${qemu[a]-}" ] && [ "$(state a)" = running ]; then
		[ -z "${qemu[b]-}" ] || stop b
		ask a migrate-set-capabilities '{"capabilities": [{"capability": "pause-before-switchover", "state": false}]}' >/dev/null
		destination -m 256
	else
		[ -z "${qemu[a]-}" ] || stop a
		[ -z "${qemu[b]-}" ] || stop b
		pair -m 256
	fi
}

# killed SIGNAL: nestmig gets it at a random moment.
killed() {
	again
	begin --dest-qmp b.nestmig
	at_random
	kill "-$1" "$migrate" 2>/dev/null
	waits 20
	one_runs
}

test_tool_killed() {
	local i
	for ((i = 0; i < ${KILLS:-20}; i++)); do
		killed $((i % 2 ? 9 : 15))
	done
}

# At pre-switchover the VM stands still and waits for nestmig.
test_tool_killed_at_switchover() {
	local signal
	for signal in 9 15 9 15; do
		again
		bandwidth=2000 begin --dest-qmp b.nestmig --no-preflight
		at_switchover
		kill "-$signal" "$migrate" 2>/dev/null
		waits 20
		one_runs
	done
}

test_destination_killed() {
	local i
	for i in 1 2 3 4; do
		again
		begin --dest-qmp b.nestmig --no-preflight
		if ((i % 2)); then
			at_random
		else
			at_switchover
		fi
		stop b
		waits 30
		[ $status = 0 ] || at_source
		told
	done
}

test_link_cut() {
	local i relay
	for i in 1 2 3; do
		again
		rm -f way there
		socat UNIX-LISTEN:way UNIX-CONNECT:there 2>/dev/null &
		relay=$!
		begin --dest-qmp b.nestmig --dest unix:way --listen unix:there
		at_random
		kill -9 $relay 2>/dev/null
		waits 30
		one_runs
		told
	done
}

make_guest --defsym SVME=1 || { echo "cannot make the guest" >&2; exit 2; }
profiles
run_tests migration "$here/../migrate.sh" "$@"
