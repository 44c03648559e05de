#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# QEMU and libvirt with a nested guest under the guard. Environment: as in common.sh; GUARDRUN; NESTMIG_POKE;
# CYCLES and LOADS, how often the guard is attached and loaded; TESTS, which of the functions test_NAME; VALID, which of
# the functions do_NAME. $OUT gets the events.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=saving.sh
. "$(dirname "$0")/saving.sh"
# shellcheck source=libvirt.sh
. "$(dirname "$0")/libvirt.sh"
# shellcheck source=broken.sh
. "$(dirname "$0")/broken.sh"
# shellcheck source=guarding.sh
. "$(dirname "$0")/guarding.sh"

# ---- The guard ------------------------------------------------------------------------------------

# An L2 that runs takes half of the only CPU: verifying the programs would last twice as long.
favoured=(nice -n -10)

# start_guard NAME [OPTION...]: enforcing until it is stopped or killed; its events go to $OUT/NAME.events.
start_guard() {
	local name=$1 tries
	shift
	rm -f "$WORK/guarded"
	# shellcheck disable=SC2016 # for that shell
	"${favoured[@]}" "$GUARDRUN" --enforce "$@" "$OUT/$name.events" sh -c 'echo $$ >"$0"; exec sleep infinity' \
		"$WORK/guarded" >"$OUT/$name.out" 2>&1 &
	guard_process=$!
	for ((tries = 0; tries < 600; tries++)); do
		[ ! -s "$WORK/guarded" ] || return 0
		kill -0 "$guard_process" 2>/dev/null || break
		sleep 0.2
	done
	fail "the guard does not start: $(cat "$OUT/$name.out")"
}

# Its process ends with the command that it runs.
stop_guard() {
	kill "$(cat "$WORK/guarded")"
	wait "$guard_process" 2>/dev/null
	expect "the guard is stopped: nothing of it is left" nothing_is_left
}

kill_guard() {
	kill -KILL "$guard_process"
	wait "$guard_process" 2>/dev/null
	kill "$(cat "$WORK/guarded")"
}

# undisturbed NAME: the guard has judged, and found and said nothing.
undisturbed() {
	local events=$OUT/$1.events word
	expect "$1: states are judged: $(counter "$events" judged)" [ "$(counter "$events" judged)" -gt 0 ]
	for word in broken denials events lost unread no-scratch no-entry races failed-entries; do
		expect "$1: $word: $(counter "$events" $word)" [ "$(counter "$events" $word)" = 0 ]
	done
	expect "$1: nested entries: $(counter "$events" nested-entries)" \
		[ "$(counter "$events" nested-entries)" -gt 0 ]
	grep '^event' "$events"
}

# ---- The guest ------------------------------------------------------------------------------------

# What a guest's L2s have said in all the QEMUs that they have left.
history=$WORK/history

# remember DIR: the guest will go on elsewhere.
remember() {
	local cpu
	mkdir -p "$history"
	for ((cpu = 1; cpu <= CPUS; cpu++)); do
		cat "$1/com$cpu" >>"$history/com$cpu"
	done
}

forget() {
	rm -rf "$history"
}

# goes_on WHAT DIR [COUNT]: each L2 counts on from COUNT, or from where it stood when it was remembered; no number
# is left out, none comes twice.
goes_on() {
	local what=$1 dir=$2 last=${3:-} cpu trouble=''
	[ -n "$last" ] || last=$(last_count "$history/com1")
	if ! wait_for_count "$dir" $((last + 5)) 90; then
		bad "$what: L2 stands at $(counts "$dir")after $last: $(cat "$dir/qemu.log" 2>/dev/null)"
		return
	fi
	for ((cpu = 1; cpu <= CPUS; cpu++)); do
		trouble+=$(cat "$history/com$cpu" "$dir/com$cpu" 2>/dev/null | check_sequence $((cpu - 1)))
	done
	if [ -z "$trouble" ]; then ok "$what: L2 counts on from $last"; else bad "$what: $trouble"; fi
}

# What comes in stands still if it did so where it came from.
let_run() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		case $(vm_status) in
		inmigrate) sleep 0.2 ;;
		running) return ;;
		*)
			qmp cont >/dev/null
			return
			;;
		esac
	done
	bad "nothing came in"
}

# into_file DIR: the guest ends as DIR.stream.
into_file() {
	stop_in_l2 "$1.dev"
	qmp_migrate "$1.stream" || fail "cannot write a stream"
	stop_guest
	remember "$1"
}

# from_file DIR STARTER [QEMU ARGUMENTS]: a second QEMU, which stays, goes on with it.
from_file() {
	local dir=$1
	"$2" "$dir-restored" "${@:3}" -incoming "exec:cat $dir.stream"
	let_run
	goes_on "$(basename "$dir"): -incoming of a file" "$dir-restored"
}

# through_file NAME STARTER
through_file() {
	local dir=$WORK/$1
	forget
	"$2" "$dir"
	wait_for_count "$dir" 3 90 || fail "L2 does not count: $(tail -n 1 "$dir/com1")"
	into_file "$dir"
	from_file "$dir" "$2"
}

start_small() {
	# shellcheck disable=SC2086 # words
	start_guest "$1" $SMALL "${@:2}"
}

# ---- States that are valid ------------------------------------------------------------------------

do_files() {
	through_file files start_small
	stop_guest
}

# The destination stays, as the VM that goes on whatever others do.
do_live() {
	local source=$WORK/source history=$WORK/other-history
	forget
	start_small_guest "$source"
	start_unwatched "$WORK/other" -incoming "unix:$WORK/live"
	await_socket "$WORK/live" || fail "no destination: $(cat "$WORK/other/qemu.log")"
	qmp migrate "{\"uri\":\"unix:$WORK/live\"}" >/dev/null || fail "migrate"
	qmp_migrated "$WORK/live" || bad "live migration"
	qmp query-migrate | jq -c '.return | {"total-time", downtime}'
	stop_guest
	remember "$source"
	goes_on "live migration" "$WORK/other"
}

need_other() {
	[ ! -d "$WORK/other" ] || return 0
	mkdir "$WORK/other"
	: >"$WORK/other/com1"
	start_unwatched "$WORK/other"
}

other_goes_on() {
	local history=$WORK/other-history
	goes_on "$1" "$WORK/other" "$(last_count "$WORK/other/com1")"
}

# What is written after loadvm follows what was written before savevm.
do_snapshot() {
	local dir=$WORK/snapshot disk before size tries
	forget
	qemu-img create -q -f qcow2 "$WORK/disk.qcow2" 1M || fail "qemu-img"
	mapfile -t disk < <(disk_arguments "$WORK/disk.qcow2")
	start_small_guest "$dir" "${disk[@]}"
	stop_in_l2 "$dir.dev"
	monitor "savevm one"
	before=$(last_count "$dir/com1")
	remember "$dir"
	qmp cont >/dev/null
	wait_for_count "$dir" $((before + 5)) 60 || bad "savevm: L2 does not count on"
	qmp stop >/dev/null
	size=$(stat -c %s "$dir/com1")
	monitor "loadvm one"
	qmp cont >/dev/null
	mkdir -p "$WORK/loaded"
	for ((tries = 0; tries < 60; tries++)); do
		tail -c +$((size + 1)) "$dir/com1" >"$WORK/loaded/com1"
		[ "$(last_count "$WORK/loaded/com1")" -lt $((before + 5)) ] || break
		sleep 1
	done
	goes_on "loadvm" "$WORK/loaded"
	stop_guest
}

do_cpus() {
	local CPUS=2
	through_file cpus start_guest
	stop_guest
}

# Of two vCPUs the second is plugged in while L2 runs on the first; it waits for a SIPI.
do_hotplug() {
	local dir=$WORK/hotplug cpu
	forget
	start_small_guest "$dir" -smp 1,maxcpus=2
	cpu=$(qmp query-hotpluggable-cpus | jq -c '.return[] | select(.["qom-path"] == null)
		| {driver: .type, id: "added"} + .props')
	qmp device_add "$cpu" >/dev/null || bad "hotplug: no $cpu"
	expect "hotplug: two vCPUs" [ "$(qmp query-cpus-fast | jq '.return | length')" = 2 ]
	goes_on "hotplug" "$dir" "$(last_count "$dir/com1")"
	into_file "$dir"
	from_file "$dir" start_small -smp 1,maxcpus=2 \
		-device "$(jq -r 'to_entries | map("\(.key)=\(.value)") | join(",")' <<<"$cpu")"
	stop_guest
}

# A VM without nesting is none of the guard's business.
do_plain() {
	local L1=''
	start_guest "$WORK/plain"
	sleep 3
	qmp stop >/dev/null
	qmp_migrate "$WORK/plain.stream" || bad "plain: cannot write a stream"
	stop_guest
	start_guest "$WORK/plain2" -incoming "exec:cat $WORK/plain.stream"
	let_run
	sleep 1
	expect "plain: the firmware runs on" [ "$(vm_status)" = running ]
	stop_guest
}

# under_libvirt WHAT COMMAND COMMAND: virsh's commands, between which the guest has no QEMU.
under_libvirt() {
	virsh_do "$2"
	remember "$GUEST_DIR"
	: >"$GUEST_DIR/com1"
	virsh_do "$3"
	goes_on "$1" "$GUEST_DIR"
}

# A second daemon, which takes itself for one on another host: name spaces of its own, and a UUID.
start_second_libvirt() {
	local second=$WORK/second
	mkdir -p "$second/$GUEST"
	cp /etc/libvirt/*.conf "$second/"
	printf '%s\n' "log_outputs = \"3:file:$second/log\"" "unix_sock_dir = \"$second\"" \
		'host_uuid = "5d1b8c9e-63d5-4c0a-8a55-0c2b9d9a7b11"' 'auth_unix_rw = "none"' \
		'auth_unix_ro = "none"' >"$second/libvirtd.conf"
	# shellcheck disable=SC2016 # for that shell
	unshare --mount --uts sh -c '
		hostname second
		for dir in /etc/libvirt /var/lib/libvirt /run/libvirt; do
			mount -t tmpfs tmpfs "$dir" || exit 1
		done
		cp "$0"/*.conf /etc/libvirt/
		exec libvirtd -p "$0/pid"' "$second" >"$second/said" 2>&1 &
	await_socket "$second/libvirt-sock" || fail "no second libvirtd: $(cat "$second/said" "$second/log")"
}

migrate_with_libvirt() {
	local second=$WORK/second to
	to="qemu+unix:///system?socket=$second/libvirt-sock"
	start_second_libvirt
	virsh dumpxml --migratable "$GUEST" | sed "s,$GUEST_DIR/com1,$second/$GUEST/com1," >"$WORK/moved.xml"
	virsh_do "migrate $GUEST $to unix://$WORK/migration --live --p2p --unsafe --xml $WORK/moved.xml"
	remember "$GUEST_DIR"
	goes_on "virsh migrate" "$second/$GUEST"
	quiet virsh -c "$to" destroy "$GUEST"
	kill "$(cat "$second/pid")"
}

do_libvirt() {
	forget
	libvirt_prepare
	libvirt_start raw
	libvirt_define
	virsh_do "start $GUEST"
	wait_for_count "$GUEST_DIR" 3 90 || fail "L2 does not count under libvirt"
	under_libvirt "virsh save, restore" "save $GUEST $WORK/saved.libvirt" "restore $WORK/saved.libvirt"
	under_libvirt "virsh managedsave, start" "managedsave $GUEST" "start $GUEST"
	migrate_with_libvirt
	libvirt_stop
}

# All under one guard, which has nothing to say of it.
test_valid() {
	local part
	start_guard valid
	for part in $VALID; do
		"do_$part"
		echo "$SECONDS s: $part"
	done
	stop_guard
	undisturbed valid
}

# ---- States that are not --------------------------------------------------------------------------

# restore_bad NAME FIELD VALUE: a QEMU gets the guest of $WORK/files.stream with that field changed.
restore_bad() {
	local dir=$WORK/$1
	[ -e "$WORK/files.stream" ] || { through_file files start_small && stop_guest; }
	rm -rf "$dir"
	mkdir "$dir"
	"$NESTMIG_POKE" "$WORK/files.stream" "$dir.stream" "$2" "$3" || fail "cannot change $2"
	guest_wrapper="strace -f -ff -e trace=ioctl -e status=failed -o $dir/strace" \
		start_small "$dir" -incoming "exec:cat $dir.stream"
	let_run
	sleep 2
}

# The same QEMU, made to begin anew.
is_reset() {
	local tries
	: >"$2/com1"
	qmp system_reset >/dev/null
	for ((tries = 0; tries < 50; tries++)); do
		sleep 0.2
		! qmp cont >/dev/null || break
	done
	wait_for_count "$2" 3 90
	expect "$1: reset, the VM boots and its L2 counts" [ $? = 0 ]
}

try_bad_registers() {
	local dir=$WORK/registers
	restore_bad registers vcpu0.sregs.cs.db 1
	expect "L and D: KVM_RUN fails in QEMU: $(head -n 1 "$dir/qemu.log")" \
		says "$dir/qemu.log" "error: kvm run failed Invalid argument"
	expect "L and D: QEMU's VM is $(vm_status)" [ "$(vm_status)" = internal-error ]
	expect "L and D: L1 does not see its L2 die" [ -z "$(l1_exit "$dir/com1")" ]
	is_reset "L and D" "$dir"
	stop_guest
}

# 0 if there is none; 1 of a guest that has begun anew.
first_count() {
	local count
	count=$(sed -n 's/^L2 cpu0 count \([0-9]\{8\}\)$/\1/p' "$1" | head -n 1)
	echo $((10#${count:-0}))
}

# QEMU 7.2 does not look at what this ioctl returns: its vCPU runs on from reset, without L2.
try_bad_nested_state() {
	local dir=$WORK/asid
	restore_bad asid vcpu0.vmcb12.control.asid 0
	expect "ASID 0: QEMU's $(refused_ioctl "$dir/strace")" \
		[ "$(refused_ioctl "$dir/strace")" = "ioctl-rejected KVM_SET_NESTED_STATE EINVAL" ]
	echo "ASID 0: QEMU's VM is $(vm_status) $(cat "$dir/qemu.log")"
	expect "ASID 0: L2 does not go on" [ "$(first_count "$dir/com1")" -le 1 ]
	is_reset "ASID 0" "$dir"
	stop_guest
}

test_refused() {
	local events=$OUT/refused.events
	need_other
	start_guard refused
	try_bad_registers
	other_goes_on "another VM, after KVM_RUN was denied"
	try_bad_nested_state
	other_goes_on "another VM, after a nested state was denied"
	stop_guard
	expect "L and D: the rule is named" has "$events" hook=kvm-run action=denied rule=svm-l2-csld
	expect "ASID 0: the rule is named" \
		has "$events" hook=set-nested-state action=denied rule=svm-ctl-asid-zero
	grep '^event\|^counter' "$events"
}

# ---- The guard comes and goes ---------------------------------------------------------------------

# In kB. 300 times are some 4,000 links and trampolines: 128 bytes of each would be seen.
MEMORY_BOUND=512

# In kB: what the kernel holds and could not give back. VmallocUsed has BPF's programs, maps and ring buffers.
kernel_memory() {
	awk '/^(SUnreclaim|VmallocUsed|Percpu|KernelStack|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# Also how often KVM's modules are in use: what BPF has attached to a function of theirs holds them.
bpf_objects() {
	bpftool prog list
	bpftool map list
	bpftool link list
	grep . /sys/module/kvm/refcnt /sys/module/kvm_amd/refcnt
}

# "MICROSECONDS LINES" of what L2 has written, three times a second.
sample_counts() {
	local lines=0 counted line
	exec {counted}<"$WORK/other/com1"
	while :; do
		while read -r -u "$counted" line; do
			lines=$((lines + 1))
		done
		echo "${EPOCHREALTIME/[.,]/} $lines"
		sleep 0.3
	done
}

# The longest time without a new count, in ms; how many there were; and how long that took, in s.
longest_pause() {
	awk 'NR == 1 { begin = since = $1; first = last = $2 }
		$1 - since > longest { longest = $1 - since }
		$2 != last { last = $2; since = $1 }
		END { printf "%d %d %d\n", longest / 1000, last - first, ($1 - begin) / 1000000 }' "$WORK/samples"
}

# attach_and_detach OPTION...: of guardrun. Nothing is left of it then.
attach_and_detach() {
	"${favoured[@]}" "$GUARDRUN" --enforce "$@" "$OUT/cycles.events" true || bad "cycles: $*: not attached"
	expect "cycles: $*: nothing of the guard is left" nothing_is_left
}

# What the kernel frees after a grace period it gives back late.
memory_is_flat() {
	local tries
	for ((tries = 0; tries < 20; tries++)); do
		after=$(kernel_memory)
		[ $((after - before)) -gt "$MEMORY_BOUND" ] || return 0
		sleep 1
	done
	return 1
}

# L2's count, and the processor time that its QEMU has used, in ticks.
l2_pace() {
	echo "$(last_count "$WORK/other/com1") $(awk '{ print $14 + $15 }' "/proc/$unwatched_pid/stat")"
}

# keeps_pace BEFORE AFTER BEFORE AFTER: of the processor time that L2 gets, at most half is lost in the second period.
keeps_pace() {
	awk '{ was = ($3 - $1) / ($4 - $2); is = ($7 - $5) / ($8 - $6) }
		{ printf "of one second of its processor time L2 makes %.2f counts, else %.2f\n", is * 100, was * 100 }
		END { exit is < was / 2 }' <<<"$*"
}

# When it is loaded first, by whichever test, the kernel makes what it keeps: caches, the BTF of modules.
test_cycles() {
	local sampler before after pause counted took alone begun
	need_other
	other_goes_on "before cycles"
	[ -n "${guard_process:-}" ] || attach_and_detach --cycles 3
	bpf_objects >"$WORK/objects"
	before=$(kernel_memory)
	alone=$(l2_pace)
	sleep 15
	begun=$(l2_pace)
	sample_counts >"$WORK/samples" &
	sampler=$!
	attach_and_detach --loads $((LOADS - 1)) --cycles $((CYCLES - 1))
	kill $sampler
	wait $sampler 2>/dev/null
	read -r pause counted took < <(longest_pause)
	expect "cycles: loaded $LOADS, attached $CYCLES times in $took s, L2 counts $counted, never pauses for $pause ms" \
		[ "$pause" -le 3000 ]
	expect "cycles: L2 counts all the time" keeps_pace "$alone" "$begun" "$begun" "$(l2_pace)"
	expect "cycles: the same BPF objects as before, and users of KVM" diff "$WORK/objects" <(bpf_objects)
	expect "cycles: kernel memory $before kB, no more than $MEMORY_BOUND kB are added" memory_is_flat
	echo "cycles: kernel memory $before kB, then $after kB"
	other_goes_on "after cycles"
}

test_killed() {
	local tries
	need_other
	start_guard killed
	other_goes_on "guarded"
	kill_guard
	expect "the guard is killed: nothing of it is left" nothing_is_left
	other_goes_on "the guard is killed"
	restore_bad gone vcpu0.sregs.cs.db 1
	for ((tries = 0; tries < 60; tries++)); do
		[ -z "$(l1_exit "$WORK/gone/com1")" ] || break
		sleep 0.5
	done
	expect "and it denies nothing: L1 sees $(l1_exit "$WORK/gone/com1")" \
		[ "$(l1_exit "$WORK/gone/com1")" = svm-exit-err ]
	stop_guest
}

test_pinned() {
	need_other
	start_guard pinned --pin "$bpffs"
	kill_guard
	other_goes_on "the guard is pinned, its process killed"
	restore_bad pinned vcpu0.sregs.cs.db 1
	expect "pinned, it denies on: $(head -n 1 "$WORK/pinned/qemu.log")" \
		says "$WORK/pinned/qemu.log" "error: kvm run failed Invalid argument"
	stop_guest
	"$GUARDRUN" --remove "$bpffs" || bad "pinned: not removed"
	expect "removed, nothing of it is left" nothing_is_left
	other_goes_on "the guard is removed"
}

need qemu-system-x86_64 qemu-img socat jq strace libvirtd virsh bpftool
for part in $TESTS; do
	"test_$part"
	echo "$SECONDS s: $part"
done
echo "$failures failures"
exit $((failures != 0))
