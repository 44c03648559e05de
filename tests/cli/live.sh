#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# live.sh BUILD [TEST...]: `nestmig snapshot` and `nestmig restore` against real QEMUs under TCG (vms.sh).
set -uo pipefail

build=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)

# shellcheck source=vms.sh
. "$here/vms.sh"

limits() {
	ask "$1" query-migrate-parameters | jq -c '.return | [."max-bandwidth", ."downtime-limit"]'
}

# whole FILE: is there, as a snapshot should be, and nothing else of it.
whole() {
	is "mode of $1" "$(stat -c %a "$1")" 600
	ends 0 resumes validate --host none "$1"
	no_rest "$1"
}

absent() {
	[ ! -e "$1" ] || complain "$1 is there"
	no_rest "$1"
}

no_rest() {
	local rest
	rest=$(find . -maxdepth 2 -name ".$1*")
	[ -z "$rest" ] || complain "left behind: $rest"
}

# still_waits VM: an -incoming QEMU that was sent nothing.
still_waits() {
	is "state of $1" "$(state "$1")" inmigrate
	is "query-migrate of $1" "$(ask "$1" query-migrate | jq -c .return)" '{}'
}

# ---- Snapshots ----------------------------------------------------------------------------------

disk=(-drive "file=count.qcow2,if=virtio")

test_full() {
	local before
	start_counting a "${disk[@]}"
	before=$(limits a)
	ends 0 '^full\.nms: whole VM of 1 vCPU, .*; the VM is postmigrate$' snapshot --host none --qmp a.nestmig full.nms
	whole full.nms
	is "state" "$(state a)" postmigrate
	is "events" "$(events a)" "STOP "
	is "migration limits" "$(limits a)" "$before"
	stands a || complain "the VM goes on"
	last_count a >full.count

	# Once more, of a VM that has stopped: not the whole, but its device state, over a file.
	ends 2 'saves it again only after .cont.' snapshot --host none --qmp a.nestmig full2.nms
	absent full2.nms
	cp full.nms old.nms
	ends 0 . snapshot --host none --state-only --json --qmp a.nestmig old.nms
	is "JSON" "$(jq -c '[.schema, .file, .kind, .vcpus, .was, .status]' out)" \
		'["nestmig.snapshot/1","old.nms","state-only",1,"postmigrate","postmigrate"]'
	whole old.nms
	stop a
}

test_resume() {
	start_counting a "${disk[@]}"
	ends 0 'the VM is running$' snapshot --host none --resume --qmp a.nestmig resumed.nms
	whole resumed.nms
	is "state" "$(state a)" running
	is "events" "$(events a)" "STOP RESUME "
	runs a || complain "the VM does not go on"
	is "lock" "$(write_outside)" refused
	ends 0 . snapshot --host none --resume --json --qmp a.nestmig resumed.nms
	is "JSON" "$(jq -c '[.schema, .kind, .vcpus, .was, .status, .stream_bytes > 0, .file_bytes]' out)" \
		"[\"nestmig.snapshot/1\",\"full\",1,\"running\",\"running\",true,$(stat -c %s resumed.nms)]"
	runs a || complain "the VM does not go on the second time"
	stop a
}

# What another program can do with the disk of a VM.
write_outside() {
	if qemu-io -f qcow2 -c "write 512k 512" count.qcow2 >io 2>&1; then
		echo written
	elif grep -q 'Failed to get "write" lock' io; then
		echo refused
	else
		cat io
	fi
}

test_state_only() {
	start_counting a "${disk[@]}"
	ends 0 'device state of 1 vCPU, .*; the VM is running$' snapshot --host none --state-only --qmp a.nestmig state.nms
	whole state.nms
	is "events" "$(events a)" "STOP RESUME "
	runs a || complain "the VM does not go on"
	is "lock" "$(write_outside)" refused
	stop a
}

test_paused() {
	start_counting a "${disk[@]}"
	ask a stop >/dev/null
	ends 0 'the VM is paused$' snapshot --host none --state-only --qmp a.nestmig paused-state.nms
	whole paused-state.nms
	is "state after --state-only" "$(state a)" paused
	is "events" "$(events a)" "STOP "
	is "lock" "$(write_outside)" refused
	ends 0 . snapshot --host none --resume --json --qmp a.nestmig paused.nms
	is "JSON" "$(jq -c '[.was, .status]' out)" '["paused","postmigrate"]'
	whole paused.nms
	is "state after a full snapshot" "$(state a)" postmigrate
	is "events" "$(events a)" "STOP "
	stands a || complain "a paused VM was started"
	stop a
}

test_not_now() {
	start_counting a "${disk[@]}"
	ask a migrate-set-parameters '{"max-bandwidth": 1000}' >/dev/null
	ask a migrate '{"uri": "exec:cat >/dev/null"}' >/dev/null
	ends 2 'a migration of this VM is "(setup|active)"' snapshot --host none --qmp a.nestmig x.nms
	ends 2 'a migration of this VM is "(setup|active)"' snapshot --host none --state-only --qmp a.nestmig x.nms
	ask a migrate_cancel >/dev/null
	absent x.nms
	start b -incoming defer "${disk[@]}"
	ends 2 'waits for an incoming migration' snapshot --host none --qmp b.nestmig x.nms
	ends 2 'waits for an incoming migration' snapshot --host none --json --state-only --qmp b.nestmig x.nms
	is "JSON" "$(jq -c '[.schema, .file, .error]' out)" '["nestmig.error/1","x.nms","missing-capability"]'
	absent x.nms
	still_waits b
	runs a || complain "the VM does not run"
	stop a b
}

test_capabilities() {
	[ -e full.nms ] || test_full
	start_counting a "${disk[@]}"
	capability a pause-before-switchover true
	ends 2 '"pause-before-switchover" of this QEMU is on' snapshot --host none --qmp a.nestmig x.nms
	absent x.nms
	ends 0 . snapshot --host none --state-only --qmp a.nestmig x.nms
	capability a pause-before-switchover false
	capability a auto-converge true
	ends 0 . snapshot --host none --qmp a.nestmig x.nms
	rm x.nms
	start b -incoming defer "${disk[@]}"
	capability b multifd true
	ends 2 '"multifd" of this QEMU is on' restore --host none --qmp b.nestmig full.nms
	still_waits b
	stop a b
}

test_addresses() {
	local port before
	start_counting a "${disk[@]}" -qmp tcp:127.0.0.1:0,server=on,wait=off
	before=$(limits a)
	ends 2 'cannot connect to missing\.sock: No such file' snapshot --host none --qmp missing.sock x.nms
	ends 2 'cannot connect to a\.serial' snapshot --host none --qmp a.serial x.nms
	ends 2 'another client' snapshot --host none --qmp a.events x.nms
	port=$(ask a query-chardev | jq -r '.return[].filename' | sed -n 's/.*tcp:127.0.0.1:\([0-9]*\).*/\1/p')
	ends 2 'unix socket only' snapshot --host none --qmp "tcp:127.0.0.1:$port" x.nms
	ends 2 'unix socket only' snapshot --host none --state-only --qmp "tcp:127.0.0.1:$port" x.nms
	absent x.nms
	is "events" "$(events a)" ""
	is "migration limits" "$(limits a)" "$before"
	stop a
}

test_targets() {
	start_counting a "${disk[@]}"
	mkdir dir
	ln -s old.nms link
	ends 2 . snapshot --host none --qmp a.nestmig missing/x.nms
	ends 2 . snapshot --host none --qmp a.nestmig dir
	ends 2 . snapshot --host none --qmp a.nestmig link
	ends 2 . snapshot --host none --qmp a.nestmig /dev/null
	[ -c /dev/null ] || complain "/dev/null is no device any more"
	is "events" "$(events a)" ""
	runs a || complain "the VM does not run"
	stop a
}

# too_big TEXT [OPTION...]: no room for x.nms; the one that is there stays.
too_big() {
	local text=$1
	shift
	echo old >x.nms
	(
		troubles=0
		ulimit -f 2
		ends 2 "$text" snapshot --host none --qmp a.nestmig "$@" x.nms
		exit $((troubles > 0))
	) >limited 2>&1 || complain "with a limit: $(<limited)"
	is "x.nms" "$(<x.nms)" old
	no_rest x.nms
	wait_state a running
	runs a || complain "the VM does not go on"
}

test_no_room() {
	local before
	start_counting a "${disk[@]}"
	before=$(limits a)
	too_big 'File too large'
	too_big 'File too large' --state-only
	mkdir small
	if mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
		mounted=$work/small
		ends 2 'No space left' snapshot --host none --qmp a.nestmig small/x.nms
		is "files on the full disk" "$(find small -type f)" ""
		wait_state a running
		runs a || complain "the VM does not go on"
		umount small && mounted=
	else
		echo "    (no tmpfs could be mounted: a full disk is not tried)"
	fi
	is "migration limits" "$(limits a)" "$before"
	rm x.nms
	stop a
}

# ---- In the middle ------------------------------------------------------------------------------

# begin_slowly FILE [OPTION...]: a snapshot of b, which has 128 MiB to save, that takes long.
begin_slowly() {
	local file=$1
	shift
	"$nestmig" snapshot --host none --level 19 "$@" --qmp b.nestmig "$file" </dev/null >out 2>err &
	slow=$!
}

# pipes PID: those that are open in a process.
pipes() {
	readlink "/proc/$1/fd"/* 2>/dev/null | grep ^pipe: | sort -u
}

# streaming: waits until the stream has begun, that is nestmig has a pipe which this shell has not.
streaming() {
	local i mine
	mine=$(pipes $$)
	for ((i = 0; i < 3000; i++)); do
		[ -z "$(comm -13 <(echo "$mine") <(pipes "$slow"))" ] || return 0
		sleep 0.01
	done
	complain "no stream begins: $(<err)"
}

# ended STATUS TEXT
ended() {
	local status=0 i
	for ((i = 0; i < 100; i++)); do
		kill -0 "$slow" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$slow" 2>/dev/null && complain "still there after 10 s"
	wait "$slow"
	status=$?
	[ $status = "$1" ] || complain "exit status $status, not $1: $(<err)"
	grep -qE -- "$2" err || complain "does not say \"$2\": $(<err)"
}

test_interrupted() {
	local signal delay before
	start_counting b -m 256 "${disk[@]}"
	before=$(limits b)
	for signal in INT TERM; do
		for delay in 0 0.2 1.1; do
			begin_slowly x.nms
			streaming
			sleep $delay
			kill "-$signal" "$slow"
			ended 2 'interrupted'
			absent x.nms
			wait_state b running
			is "migration limits" "$(limits b)" "$before"
		done
		runs b || complain "the VM does not go on after SIG$signal"
	done
	stop b
}

test_full_disk_in_the_middle() {
	start_counting b -m 256 "${disk[@]}"
	ulimit -S -f 20000
	begin_slowly x.nms --level 1
	ended 2 'File too large'
	ulimit -S -f unlimited
	absent x.nms
	wait_state b running
	runs b || complain "the VM does not go on"
	stop b
}

test_killed() {
	local delay
	start_counting b -m 256 "${disk[@]}"
	for delay in 0.02 0.05 0.1 0.2 0.4 0.8 1.6; do
		begin_slowly x.nms
		sleep $delay
		kill -9 "$slow"
		wait "$slow" 2>/dev/null
		absent x.nms
		wait_state b running
	done
	runs b || complain "the VM does not go on"
	# At full speed, so that some come to the end.
	for delay in 0.1 0.3 0.5 0.6 0.7; do
		rm -f x.nms
		begin_slowly x.nms --level 1
		sleep $delay
		kill -9 "$slow" 2>/dev/null
		wait "$slow" 2>/dev/null
		[ ! -e x.nms ] || whole x.nms
		[ -n "$(state b)" ] || complain "QEMU does not answer"
		ask b cont >/dev/null
	done
	rm -f x.nms
	wait_state b running
	ends 0 . snapshot --host none --qmp b.nestmig x.nms
	whole x.nms
	last_count b >big.count
	mv x.nms big.nms
	stop b
}

# RAM that is not in the same chunk as the device state: --skip-ram has something to skip.
test_skip_ram() {
	[ -e big.nms ] || test_killed
	cp big.nms x.nms
	printf x | dd of=x.nms bs=1 seek=50000000 conv=notrunc status=none
	ends 2 'does not match its checksum \(at byte [0-9]+\)' validate --host none x.nms
	ends 0 resumes validate --skip-ram --host none x.nms
	start a -m 256 -incoming defer "${disk[@]}"
	ends 2 'does not match its checksum' restore --host none --qmp a.nestmig x.nms
	still_waits a
	stop a
	rm x.nms
}

test_qemu_killed() {
	start_counting b -m 256 "${disk[@]}"
	begin_slowly x.nms
	streaming
	sleep 0.3
	stop b
	ended 2 'closed the connection: did QEMU exit'
	is "lines of error" "$(wc -l <err)" 1
	absent x.nms
}

# ---- Restoring ----------------------------------------------------------------------------------

# incoming VM [OPTION...]
incoming() {
	start "$1" -incoming defer "${disk[@]}" "${@:2}"
}

test_round_trip() {
	local count
	[ -e full.nms ] || test_full
	incoming b
	ends 0 '^full\.nms: restored, the VM is running$' restore --host none --qmp b.nestmig full.nms
	runs b || complain "the VM does not go on"
	count=$(first_count b)
	[ $((16#$count - 16#$(<full.count))) -le 2 ] || complain "it goes on from $count, not from $(<full.count)"
	ends 0 . snapshot --host none --qmp b.nestmig again.nms
	whole again.nms
	count=$(last_count b)
	stop b
	incoming c
	ends 0 . restore --host none --json --watch 0 --qmp c.nestmig again.nms
	is "JSON" "$(jq -c '[.schema, .file, .restored, .status, .report.schema, .report.vcpus[0].outcome, (.events | index("RESUME") != null)]' out)" \
		'["nestmig.restore/1","again.nms",true,"running","nestmig.report/1","resumes",true]'
	runs c || complain "the VM does not go on the second time"
	[[ $(first_count c) > $count ]] || complain "it goes on from $(first_count c), not from $count"
	stop c
	incoming d -S
	ends 0 'the VM is paused$' restore --host none --qmp d.nestmig full.nms
	stands d || complain "a VM started with -S runs"
	stop d
}

# A VM that is reset while it is watched runs, but not from what was saved.
test_restore_reset() {
	local i
	[ -e full.nms ] || test_full
	incoming b
	"$nestmig" restore --host none --watch 4 --qmp b.nestmig full.nms </dev/null >out 2>err &
	slow=$!
	for ((i = 0; i < 100; i++)); do
		[[ $(events b) != *RESUME* ]] || break
	done
	ask b system_reset >/dev/null
	wait "$slow"
	is "exit status" $? 1
	grep -q 'was reset: it does not go on from what was saved' out || complain "does not say so: $(cat out err)"
	stop b
}

test_restore_big() {
	[ -e big.nms ] || test_killed
	incoming a -m 256
	ends 0 'the VM is running$' restore --host none --qmp a.nestmig big.nms
	runs a || complain "the VM does not go on"
	[[ $(first_count a) > $(<big.count) ]] || complain "it counts from $(first_count a)"
	stop a
	incoming a -m 256
	"$nestmig" restore --host none --qmp a.nestmig big.nms </dev/null >out 2>err &
	slow=$!
	streaming
	stop a
	ended 2 'QEMU (stopped reading|took all)|closed the connection'
	is "standard output" "$(<out)" ""
}

test_restore_paused() {
	[ -e paused.nms ] || test_paused
	incoming a
	ends 0 'the VM is paused$' restore --host none --qmp a.nestmig paused.nms
	is "events" "$(events a)" ""
	stands a || complain "a VM that was paused runs"
	stop a
}

test_restore_refused() {
	[ -e full.nms ] || test_full
	[ -e state.nms ] || test_state_only
	start_counting a -smp 2 "${disk[@]}"
	ends 2 'this QEMU is "running": start one with -incoming defer' restore --host none --qmp a.nestmig full.nms
	runs a || complain "the VM does not run"
	ends 0 'whole VM of 2 vCPUs' snapshot --host none --qmp a.nestmig two.nms
	ends 2 'this QEMU is "postmigrate"' restore --host none --json --qmp a.nestmig full.nms
	is "JSON" "$(jq -c '[.schema, .file, .error]' out)" '["nestmig.error/1","full.nms","missing-capability"]'
	stop a

	incoming b
	ends 2 'without guest memory' restore --host none --qmp b.nestmig state.nms
	ends 2 'has vCPU 1, but this QEMU has only 1: start it with the same -smp' restore --host none --qmp b.nestmig two.nms
	head -c 100000 full.nms >x.nms
	ends 2 'at byte 100000' restore --host none --qmp b.nestmig x.nms
	cp full.nms x.nms
	printf x | dd of=x.nms bs=1 seek=$(($(stat -c %s x.nms) / 2)) conv=notrunc status=none
	ends 2 'checksum.*at byte [0-9]+' restore --host none --qmp b.nestmig x.nms
	ends 2 'cannot open it' restore --host none --qmp b.nestmig missing.nms
	"$build/tests/nestmig-poke" "$here/inputs/full1.nms" broken.nms vcpu0.vmcb12.control.asid 0
	ends 1 'refused, nothing was sent; --force' restore --host none --qmp b.nestmig broken.nms
	ends 1 . restore --host none --json --qmp b.nestmig broken.nms
	rm x.nms
	is "JSON" "$(jq -c '[.restored, .status, .report.verdict, .report.vcpus[0].outcome]' out)" \
		'[false,null,"fail","ioctl-rejected"]'
	ends 1 'refused' restore --host none --strict --qmp b.nestmig "$here/inputs/full1.nms"
	still_waits b
	# And after all that it takes the right one.
	ends 0 'the VM is running$' restore --host none --qmp b.nestmig full.nms
	runs b || complain "the VM does not go on"
	stop b

	incoming c -smp 2
	ends 2 'this QEMU has 2 vCPUs, but the state only 1' restore --host none --qmp c.nestmig full.nms
	still_waits c
	stop c
}

# Streams that QEMU refuses from a pipe, or would run without what is missing in them; and what holds none.
test_restore_not_sent() {
	local files=$here/../cases/containers
	[ -e full.nms ] || test_full
	incoming a -M pc
	ends 2 'was made with postcopy-ram' restore --host none --force --qmp a.nestmig "$files/postcopy-ram.qemu.zst"
	ends 2 'shared RAM is not' restore --host none --force --qmp a.nestmig "$files/ignore-shared.qemu.zst"
	ends 2 'is of a machine "pc-q35-.*", and this QEMU has a "pc-i440fx-.*": start it with -M pc-q35' \
		restore --host none --qmp a.nestmig full.nms
	ends 2 'holds no migration stream' restore --host none --qmp a.nestmig "$here/../cases/raw-dump"
	still_waits a
}

# What is compressed is unpacked on its way.
test_restore_packed() {
	[ -e full.nms ] || test_full
	"$nestmig" extract --stream full.nms | zstd -qc >full.qemu.zst
	incoming a
	ends 0 'the VM is running$' restore --host none --qmp a.nestmig full.qemu.zst
	runs a || complain "the VM does not go on"
}

# The process that parses ends: QEMU has been sent nothing.
test_restore_reader_killed() {
	[ -e big.nms ] || test_killed
	incoming a -m 256
	# While it reads: whoever reads so often, it is the only one. A signal from outside comes too late on a busy machine.
	strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:signal=KILL:when=20 \
		"$nestmig" restore --host none --qmp a.nestmig big.nms </dev/null >out 2>err &
	slow=$!
	ended 2 'the process that reads was ended by signal 9'
	still_waits a
}

# does_not_fit OPTION...: full.nms into a QEMU that is not the one of the snapshot.
does_not_fit() {
	start a -incoming defer "$@"
	ends 2 'QEMU (stopped reading|took all).*its own error output says why it refused the state' \
		restore --host none --qmp a.nestmig full.nms
	is "standard output" "$(<out)" ""
	grep -q 'load of migration failed' a.stderr || complain "QEMU with $* says: $(<a.stderr)"
	stop a
}

test_other_devices() {
	[ -e full.nms ] || test_full
	does_not_fit
	does_not_fit "${disk[@]}" -m 128
	# KVM's nested state means nothing to TCG.
	incoming a
	ends 2 'error output' restore --host none --force --qmp a.nestmig "$here/inputs/full1.nms"
	stop a
}

# ---- The run ------------------------------------------------------------------------------------

make_guest || { echo "cannot make the guest" >&2; exit 2; }
run_tests live "$here/live.sh" "$@"
