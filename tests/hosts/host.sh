#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An emulated AMD host: QEMU's TCG runs Debian's kernel with its real kvm_amd, nested=1, on this
# machine's own files. Nothing is installed, no module is loaded here, no privilege is needed but
# to read what the job reads.
#
#   host.sh prepare
#       Download and unpack the kernel into the cache (once) and make the initramfs.
#   host.sh run NAME JOB OUTDIR [options]
#       Boot a host, run the executable JOB in it, give back its exit status; 125 if the host
#       did not boot or the job ran out of time. What the job prints comes out here, line by
#       line, after "NAME: ". OUTDIR is writable from inside at the same path ($OUT).
#
#   Options are given as "--name value" or "--name=value":
#   --net listen:SOCKET    first end of a cable (a Unix socket); address 10.99.0.1
#   --net connect:SOCKET   second end, waits for the first; address 10.99.0.2
#   --ip ADDRESS/PREFIX    another address
#   --mac ADDRESS          another hardware address
#   --append WORDS         more of the kernel command line, e.g. "kvm_amd.npt=0"
#   --env NAME=VALUE       put into the job's environment (may be repeated)
#   --keep PATH            show this path of a temporary file system inside (may be repeated)
#   --clock instructions   the host's clock counts instructions, 4 ns each: what runs there has the same
#                          time for everything, however busy this machine is; default is real
#   --smp N, --memory MIB  1 and 2000; why not 2: see start_qemu
#   --timeout SECONDS      for the job, 120; booting has BOOT_TIMEOUT, 240
#
# Environment: NESTMIG_HOST_CACHE, where kernel and initramfs are kept (default build/hosts in
# the work tree); NESTMIG_KERNEL_SUITE, e.g. bookworm-backports, for the kernel of another suite of Debian (kernel.sh).
set -euo pipefail

# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"

BOOT_TIMEOUT=${BOOT_TIMEOUT:-240}

# What takes less time where TCG is the CPU: VMs end without waiting for RCU's grace periods, nothing is copied byte by
# byte, ciphers are not tested.
FAST_WORDS="rcupdate.rcu_expedited=1 clearcpuid=erms cryptomgr.notests"

prepare() {
	prepare_kernel "$cache/initramfs" "$here/host-init" "$AMD_MODULES"
}

parse_options() {
	net='' ip='' mac='' append='' smp=1 memory=2000 time_limit=120 clock=real job_env=() keep=("$tree")
	while [ $# -gt 0 ]; do
		case $1 in
		--*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
		esac
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--net) net=$2 ;;
		--ip) ip=$2 ;;
		--mac) mac=$2 ;;
		--append) append=$2 ;;
		--env) job_env+=("$2") ;;
		--keep) keep+=("$2") ;;
		--clock) clock=$2 ;;
		--smp) smp=$2 ;;
		--memory) memory=$2 ;;
		--timeout) time_limit=$2 ;;
		*) die "unknown option $1" ;;
		esac
		shift 2
	done
}

# The second end of the cable must not be plugged in before the first one listens (00010000).
wait_for_listener() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' \
			/proc/net/unix && return
		sleep 0.2
	done
	die "nobody listens on $1: is the host with --net listen: running?"
}

network_arguments() {
	local socket server
	[ -n "$net" ] || return 0
	socket=$(realpath -m "${net#*:}")
	case $net in
	listen:*) server=on ip=${ip:-10.99.0.1/24} mac=${mac:-52:54:00:99:00:01} ;;
	connect:*)
		server=off ip=${ip:-10.99.0.2/24} mac=${mac:-52:54:00:99:00:02}
		wait_for_listener "$socket"
		;;
	*) die "--net takes listen:SOCKET or connect:SOCKET, not $net" ;;
	esac
	qemu_net=(-netdev "stream,id=cable,server=$server,addr.type=unix,addr.path=$socket"
		-device "virtio-net-pci,netdev=cable,mac=$mac,romfile=")
	append="nestmig.ip=$ip $append"
}

write_environment() {
	local assignment
	{
		printf 'export HOST_NAME=%q OUT=%q\n' "$name" "$out"
		printf 'JOB=%q\nKEEP=%q\n' "$job" "${keep[*]}"
		for assignment in "${job_env[@]}"; do
			printf 'export %s=%q\n' "${assignment%%=*}" "${assignment#*=}"
		done
	} >"$out/host.env"
}

# One CPU. With two, QEMU 7.2's TCG can keep a stale translation of an instruction that the kernel
# patches on one CPU while the other executes it; the other then takes the patch's INT3 for ever.
# KVM patches the scheduler (preempt_notifier_key) whenever the first VM is made or the last one
# goes away: about one host in twenty hung.
start_qemu() {
	local accelerator
	case $clock in
	real) accelerator=(-accel "tcg,thread=multi") ;;
	instructions) accelerator=(-accel "tcg,thread=single" -icount shift=2) ;;
	*) die "--clock takes real or instructions, not $clock" ;;
	esac
	exec 3< <(
		cd "$out" # the monitor's socket: its path must be short
		exec timeout -k 5 $((BOOT_TIMEOUT + time_limit + 10)) qemu-system-x86_64 -name "$name" \
			"${accelerator[@]}" -smp "$smp" -cpu max -m "$memory" \
			-display none -monitor unix:monitor,server=on,wait=off -no-reboot -nodefaults -no-user-config \
			-kernel "$cache/kernel/vmlinux.elf" -initrd "$cache/initramfs" \
			-append "console=ttyS0 quiet panic=-1 mitigations=off $FAST_WORDS $append" \
			-virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap" \
			-virtfs "local,path=$out,mount_tag=out,security_model=none,multidevs=remap" \
			-serial "file:$out/console.log" -serial stdio "${qemu_net[@]}" \
			2>"$out/qemu.log" </dev/null
	)
	qemu_pid=$!
}

stop_qemu() {
	kill "$qemu_pid" 2>/dev/null || true
}

# What the processor of a host that is late does, a few times: kept for report_trouble.
look_inside() {
	local tries
	for ((tries = 0; tries < 5; tries++)); do
		echo "info registers"
		sleep 0.5
	done | (cd "$out" && timeout 10 socat -t 2 - UNIX-CONNECT:monitor) 2>&1 |
		tr -d '\r' | grep -E '^(RIP|CS |CR0|EFER)=' >"$out/registers" || true
}

watch_host() {
	local deadline=$((SECONDS + BOOT_TIMEOUT)) booted=''
	late=''
	while kill -0 "$qemu_pid" 2>/dev/null; do
		if [ -z "$booted" ] && [ -e "$out/booted" ]; then
			booted=1
			deadline=$((SECONDS + time_limit))
		fi
		if ((SECONDS >= deadline)); then
			late=1
			look_inside
			stop_qemu
			break
		fi
		sleep 0.2
	done
}

report_trouble() {
	if [ -e "$out/booted" ] && [ -z "$late" ]; then
		echo "$name: FAILED: the host ended before its job did; the console's last lines:"
	elif [ -e "$out/booted" ]; then
		echo "$name: FAILED: the job did not finish in $time_limit s; the console's last lines:"
	else
		echo "$name: FAILED: the host did not boot; the console's last lines:"
	fi
	tail -n 25 "$out/qemu.log" "$out/console.log" "$out/registers" 2>/dev/null |
		sed "s/^/$name: | /" || true # one that ended by itself left no registers
	exit 125
}

run() {
	local prefix_pid
	[ $# -ge 3 ] || die "usage: host.sh run NAME JOB OUTDIR [options]"
	need qemu-system-x86_64 flock awk socat
	name=$1 job=$(realpath "$2")
	mkdir -p "$3"
	out=$(realpath "$3")
	shift 3
	parse_options "$@"
	keep+=("$(dirname "$job")")
	[ -x "$job" ] || die "$job is not executable"
	rm -f "$out/booted" "$out/status" "$out/registers"
	prepare
	qemu_net=()
	network_arguments
	write_environment
	start_qemu
	trap stop_qemu EXIT
	trap 'exit 130' INT TERM HUP
	sed -u "s/^/$name: /" <&3 &
	prefix_pid=$!
	watch_host
	wait "$prefix_pid" || true
	[ -s "$out/status" ] || report_trouble
	exit "$(cat "$out/status")"
}

case ${1:-} in
prepare) prepare ;;
run)
	shift
	run "$@"
	;;
*)
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
