#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A job for the emulated Intel host, which has busybox and no more (see ../intel-stream.sh, and
# ../intel.sh for how it runs): QEMU with the nested guest writes its state, then a second QEMU reads
# it and L2 must go on to count where it was.
#
# In the current directory: qemu/ with QEMU, its libraries and ROMs, l1.elf, rawdump. Into out: hostinfo,
# what `nestmig host --root` wants to know of the host; vmx1.qemu, the stream of `migrate`;
# vmxdev1.qemu, that of xen-save-devices-state; com1.before and com1.after, what the two guests said;
# qmp.before and qmp.after, what QEMU said.
set -u

fail() {
	echo "FAILED: $*"
	tail -n 20 out/qmp.* out/com1.*
	exit 1
}

seconds() {
	cut -d . -f 1 /proc/uptime
}

say() {
	echo "$(seconds) s: $*"
}

# start_qemu NAME [ARGUMENTS]: commands to descriptor 3, answers in out/qmp.NAME, L2 in out/com1.NAME
start_qemu() {
	name=$1
	shift
	rm -f commands
	mkfifo commands
	: >"out/com1.$name"
	qemu/lib/ld-linux-x86-64.so.2 --library-path qemu/lib qemu/qemu-system-x86_64 -L qemu \
		-accel kvm -cpu host -M q35 -m 32 -smp 1 -nodefaults -no-user-config -display none \
		-kernel l1.elf -serial "file:out/com1.$name" -qmp stdio "$@" \
		<commands >"out/qmp.$name" 2>&1 &
	qemu_pid=$!
	exec 3>commands
	qmp '{"execute": "qmp_capabilities"}'
}

# Busybox's kill knows no wait for what is no child of the shell; QEMU is one.
stop_qemu() {
	echo '{"execute": "quit"}' >&3
	exec 3>&-
	wait "$qemu_pid"
}

answers() {
	grep -c -E '^\{"(return|error)"' "out/qmp.$name"
}

# Waits for the answer, which must be no error.
qmp() {
	before=$(answers)
	echo "$1" >&3
	until [ "$(answers)" -gt "$before" ]; do
		[ -d "/proc/$qemu_pid" ] || fail "QEMU ended: $(cat "out/qmp.$name")"
		sleep 0.1
	done
	! grep '^{"error"' "out/qmp.$name" || fail "QEMU refuses $1"
}

# Of a line that is there completely.
last_count() {
	count=$(grep -o '^L2 cpu0 count [0-9]\{8\}$' "out/com1.$name" | tail -n 1 | sed 's/.* 0*//')
	echo "${count:-0}"
}

# wait_for_count NUMBER: 60 seconds, of a clock that counts instructions
wait_for_count() {
	deadline=$(($(seconds) + 60))
	until [ "$(last_count)" -ge "$1" ]; do
		[ -d "/proc/$qemu_pid" ] || fail "QEMU ended: $(cat "out/qmp.$name")"
		[ "$(seconds)" -lt $deadline ] || fail "L2 does not count as far as $1"
		sleep 0.2
	done
}

migrate() {
	qmp "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"exec:cat >$1\"}}"
	deadline=$(($(seconds) + 60))
	until grep -q '"status": "completed"' "out/qmp.$name"; do
		[ "$(seconds)" -lt $deadline ] || fail "the migration does not end"
		sleep 0.2
		qmp '{"execute": "query-migrate"}'
	done
}

save_host_files() {
	for file in /proc/version /proc/cpuinfo /proc/sys/kernel/osrelease \
		/sys/module/kvm/parameters/* /sys/module/kvm_intel/parameters/*; do
		mkdir -p "out/hostinfo$(dirname "$file")"
		cat "$file" >"out/hostinfo$file" || fail "cannot copy $file"
	done
	./rawdump host out/hostinfo/kvm || fail "cannot ask KVM about this host"
}

# Slow, so only if somebody else has loaded it in another way.
parameters=/sys/module/kvm_intel/parameters
if ! grep -q Y $parameters/ept || ! grep -q Y $parameters/unrestricted_guest; then
	load_kvm || fail "no kvm_intel"
fi
save_host_files
dmesg -c >/dev/null
say "starting QEMU"
start_qemu before
qmp '{"execute": "query-version"}'
wait_for_count 5
say "L2 counts"
qmp '{"execute": "stop"}'
qmp '{"execute": "xen-save-devices-state", "arguments": {"filename": "out/vmxdev1.qemu", "live": false}}'
migrate out/vmx1.qemu
stop_qemu
reached=$(last_count)
say "the stream is written, $reached counts"

start_qemu after -incoming "exec:cat out/vmx1.qemu"
# What was stopped before it was saved comes back stopped.
until grep -q '"status": "paused"' out/qmp.after; do
	sleep 0.2
	qmp '{"execute": "query-status"}'
done
qmp '{"execute": "cont"}'
wait_for_count $((reached + 3))
stop_qemu
say "restored, it counts on to $(last_count)"
# A snapshot cuts a line anywhere: both outputs, put together, have no gap.
cat out/com1.before out/com1.after >all
seen=$(last_count)
[ "$seen" -gt "$reached" ] || fail "after $reached counts only $seen"
n=1
while [ $n -le "$seen" ]; do
	[ "$(grep -c -x "L2 cpu0 count $(printf %08d $n)" all)" = 1 ] || fail "count $n is not there once"
	n=$((n + 1))
done
! dmesg | grep -E 'WARNING:|BUG:' || fail "the kernel complains"
say "every count from 1 to $seen is there once"
