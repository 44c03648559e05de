# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# VMs under TCG for shell scripts (to be sourced, after build, here and work are set). The guest (count.S) counts on
# its serial port, so that it can be seen whether and from where a VM goes on. Every QEMU has three QMP sockets:
# .nestmig for nestmig, .ask for the questions of the script, and .events, of which all events are recorded.
# Needs qemu-system-x86_64, qemu-utils, socat and jq.

nestmig=$build/cmd/nestmig
declare -A qemu recorder
mounted=
troubles=0
cd "$work" || exit 2

# shellcheck source=../hosts/qmp.sh
. "$here/../hosts/qmp.sh"

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	local pid
	for pid in "${qemu[@]}" "${recorder[@]}"; do
		kill -9 "$pid" 2>/dev/null
	done
	[ -z "$mounted" ] || umount "$mounted"
	wait 2>/dev/null
	cd /
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

complain() {
	echo "    $*"
	troubles=$((troubles + 1))
}

# ---- VMs ----------------------------------------------------------------------------------------

# start VM [OPTION...]: a QEMU; returns when it answers.
start() {
	local vm=$1 socket sockets=() i
	shift
	[[ " $* " = *" -m "* ]] || set -- -m 64 "$@"
	for socket in nestmig ask events; do
		sockets+=(-qmp "unix:$vm.$socket,server=on,wait=off")
	done
	rm -f "$vm".*
	qemu-system-x86_64 -accel tcg -cpu max -M q35 -nodefaults -display none \
		-serial "file:$vm.serial" "${sockets[@]}" "$@" 2>"$vm.stderr" &
	qemu[$vm]=$!
	disown
	for ((i = 0; i < 600; i++)); do
		[ ! -S "$vm.events" ] || break
		sleep 0.1
	done
	echo '{"execute":"qmp_capabilities"}' |
		socat -,ignoreeof "UNIX-CONNECT:$vm.events" >"$vm.record" 2>/dev/null &
	recorder[$vm]=$!
	disown
	[ -n "$(state "$vm")" ] || complain "$vm does not start: $(<"$vm.stderr")"
}

# start_counting VM [OPTION...]: with the guest, until it counts.
start_counting() {
	start "$@"
	runs "$1" || complain "the guest of $1 does not count"
}

stop() {
	local vm
	for vm in "$@"; do
		kill -9 "${qemu[$vm]}" "${recorder[$vm]}" 2>/dev/null
		while kill -0 "${qemu[$vm]}" 2>/dev/null; do sleep 0.05; done
		unset "qemu[$vm]" "recorder[$vm]"
	done
}

# ask VM COMMAND [ARGUMENTS]: QEMU's reply, "" if there is none.
ask() {
	(
		qmp_open "$1.ask" || exit
		qmp "$2" "${3:-{\}}"
		qmp_close
	) 2>/dev/null
}

state() {
	ask "$1" query-status | jq -r .return.status
}

first_count() {
	grep -aEm 1 '^[0-9a-f]{8}$' "$1.serial"
}

last_count() {
	grep -aE '^[0-9a-f]{8}$' "$1.serial" 2>/dev/null | tail -n 1
}

# runs VM: does it count, and go on counting? A minute is much more than it needs.
runs() {
	local from i
	from=$(last_count "$1")
	for ((i = 0; i < 600; i++)); do
		sleep 0.1
		[[ $(last_count "$1") > $from ]] && return
	done
	return 1
}

# stands VM: it does not count.
stands() {
	local from
	from=$(last_count "$1")
	sleep 0.4
	[ "$(last_count "$1")" = "$from" ]
}

# events VM: the names of all so far, but those that come with every disk or clock.
events() {
	sleep 0.2
	jq -r '.event // empty' "$1.record" 2>/dev/null | grep -E 'STOP|RESUME|RESET|SHUTDOWN' | tr '\n' ' '
}

wait_state() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(state "$1")" != "$2" ] || return 0
		sleep 0.1
	done
	complain "$1 is \"$(state "$1")\", not \"$2\""
}

# capability VM NAME STATE
capability() {
	ask "$1" migrate-set-capabilities "{\"capabilities\": [{\"capability\": \"$2\", \"state\": $3}]}" >/dev/null
}

# make_guest [OPTION...]: count.raw, and count.qcow2; options of as.
make_guest() {
	as --32 "$@" -o count.o "$here/count.S" &&
		ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o count.raw count.o &&
		truncate -s 1M count.raw && qemu-img convert -f raw -O qcow2 count.raw count.qcow2
}

# ---- Claims -------------------------------------------------------------------------------------

# ends STATUS TEXT ARGUMENT...: nestmig must end with this status and say the text (a regular
# expression; to standard error if the status is 2, else to standard output).
ends() {
	local want=$1 text=$2 status stream=out
	shift 2
	timeout 90 "$nestmig" "$@" >out 2>err
	status=$?
	[ "$want" != 2 ] || stream=err
	if [ $status != "$want" ] || ! grep -qE -- "$text" $stream; then
		complain "nestmig $*: exit status $status, not $want with \"$text\": $(cat out err)"
		return 1
	fi
	if [ "$want" != 2 ] && [ -s err ]; then
		complain "nestmig $*: says on standard error: $(<err)"
	fi
}

# is WHAT GOT WANTED
is() {
	[ "$2" = "$3" ] || complain "$1: \"$2\", not \"$3\""
}

# ---- The run ------------------------------------------------------------------------------------

# run_tests KIND SCRIPT [TEST...]: those that are named, or all of the script's.
run_tests() {
	local kind=$1 script=$2 tests name begin vm failed=0
	shift 2
	tests=("$@")
	[ $# -gt 0 ] || mapfile -t tests < <(sed -n 's/^test_\([a-z_]*\)() {$/\1/p' "$script")
	for name in "${tests[@]}"; do
		troubles=0
		begin=$SECONDS
		"test_$name" || [ $? != 127 ] || complain "there is no such test"
		for vm in "${!qemu[@]}"; do stop "$vm"; done
		if [ $troubles = 0 ]; then
			echo "$name: ok ($((SECONDS - begin)) s)"
		else
			echo "$name: FAILED ($((SECONDS - begin)) s)"
			failed=$((failed + 1))
		fi
	done
	echo "${#tests[@]} $kind tests, $failed failed, $SECONDS s"
	[ $failed = 0 ]
}
