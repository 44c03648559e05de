#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An emulated Intel host: Bochs runs Debian's kernel with its real kvm_intel, nested=1. Nothing is
# installed, no module is loaded here, no privilege is needed. It boots once and then takes jobs;
# between jobs it is stopped and costs nothing.
#
#   intel.sh start DIR [--append WORDS]
#       Boot a host whose files are in DIR; returns when it takes jobs. WORDS are more of the kernel
#       command line.
#   intel.sh job DIR JOB OUTDIR [options]
#       Run the script JOB (busybox's sh) in it; what it prints comes out here, line by line; what it
#       leaves in ./out is put into OUTDIR. Gives back its exit status; 125 if the host died or the
#       time ran out (the host is then stopped for good).
#       --file PATH[=NAME]     a file or a directory for its current directory (may be repeated)
#       --env NAME=VALUE       put into its environment (may be repeated)
#       --timeout SECONDS      600; of this machine, whose seconds are not the host's
#   intel.sh stop DIR
#
# In the job, `load_kvm [PARAMETERS]` inserts kvm_intel anew, e.g. `load_kvm ept=0`, see
# intel-load-kvm. Programs must be linked statically.
#
# Environment: NESTMIG_HOST_CACHE, see kernel.sh; BOOT_TIMEOUT, 300; LIFETIME, seconds after which a
# host ends whatever anybody does, 7200.
set -euo pipefail

# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"
BOOT_TIMEOUT=${BOOT_TIMEOUT:-300}
LIFETIME=${LIFETIME:-7200}

# The disk, see intel-init: 1 MiB for the boot sector and the line that announces a job, the job, the
# answer.
JOB_ROOM=256
ANSWER_AT=$((1 + JOB_ROOM))
ANSWER_ROOM=255

usage() {
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# Where Bochs puts things into RAM; intel-boot.S knows them too.
SETUP_AT=0x90000
COMMAND_LINE=0xe000 # after SETUP_AT
ENTRY_AT=0x100000
IMAGE_AT=0x10000000
BLOCK=0x20000
IMAGE_ROOM=256 # blocks before the kernel

# set_field FILE OFFSET BYTES VALUE
set_field() {
	local value=$(($4)) bytes='' i
	for ((i = 0; i < $3; i++, value >>= 8)); do
		bytes+=$(printf '\\x%02x' $((value & 255)))
	done
	printf %b "$bytes" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

# The kernel as it lies in memory.
make_flat() {
	local elf=$cache/kernel/vmlinux.elf flat=$cache/kernel/vmlinux
	[ ! "$flat" -nt "$elf" ] || return 0
	objcopy -O binary "$elf" "$flat.new" && mv "$flat.new" "$flat" || die "cannot copy the kernel"
}

# The real-mode part of the kernel with what a boot loader writes into its header.
make_setup() {
	local image=$cache/kernel/vmlinuz setup=$dir/setup
	head -c $((($(field "$image" 0x1f1 1) + 1) * 512)) "$image" >"$setup"
	set_field "$setup" 0x210 1 0xff # type_of_loader: unknown
	set_field "$setup" 0x211 1 0x81 # loadflags: LOADED_HIGH, CAN_USE_HEAP
	set_field "$setup" 0x214 4 $ENTRY_AT
	set_field "$setup" 0x21c 4 "$(stat -c %s "$cache/intel-initramfs")"
	set_field "$setup" 0x224 2 $((COMMAND_LINE - 0x200)) # heap_end_ptr
	set_field "$setup" 0x228 4 $((SETUP_AT + COMMAND_LINE))
	truncate -s $((COMMAND_LINE)) "$setup"
	# TSC and timers count instructions, 50 million a second; CPUID says otherwise. It also gives a wrong
	# size for the compacted format of XSAVE, and the kernel then does without any XSAVE. The tests of
	# the kernel's ciphers would take a third of the boot.
	printf '%s %s %s\0' "quiet panic=-1 mitigations=off nokaslr" \
		"tsc_early_khz=50000 clearcpuid=xsaves,xsavec cryptomgr.notests console=ttyS0" "$append" >>"$setup"
}

blocks() {
	echo $((($(stat -c %s "$1") + BLOCK - 1) / BLOCK))
}

# Kernel and initramfs, as intel-boot.S wants them.
make_image() {
	local image=$dir/image kernel=$cache/kernel/vmlinux initramfs=$cache/intel-initramfs room
	room=$((IMAGE_ROOM * BLOCK))
	rm -f "$image"
	truncate -s $room "$image"
	set_field "$image" $((room - BLOCK)) 4 0x74756f62
	set_field "$image" $((room - BLOCK + 4)) 4 $(($(blocks "$kernel") + $(blocks "$initramfs")))
	set_field "$image" $((room - BLOCK + 8)) 4 "$(blocks "$kernel")"
	cat "$kernel" >>"$image"
	truncate -s %$((BLOCK)) "$image"
	cat "$initramfs" >>"$image"
}

make_boot_code() {
	cc -c -o "$dir/boot.o" "$here/intel-boot.S"
	ld -m elf_x86_64 -nostdlib -static -z noexecstack --no-warn-rwx-segments --section-start=.boot_sector=0x7c00 \
		--section-start=.entry=$ENTRY_AT -e 0 -o "$dir/boot.elf" "$dir/boot.o"
	objcopy -O binary -j .boot_sector "$dir/boot.elf" "$dir/boot.sector"
	objcopy -O binary -j .entry "$dir/boot.elf" "$dir/entry"
}

write_bochsrc() {
	cat >"$dir/bochsrc" <<-END
		display_library: rfb, options="timeout=0"
		romimage: file=/usr/share/bochs/BIOS-bochs-latest
		vgaromimage: file=/usr/share/vgabios/vgabios.bin
		megs: 512
		optramimage1: file="$dir/setup", address=$SETUP_AT
		optramimage2: file="$dir/entry", address=$ENTRY_AT
		optramimage3: file="$dir/image", address=$IMAGE_AT
		cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=1, ignore_bad_msrs=1
		clock: sync=none
		ata0-master: type=disk, path="$dir/disk", mode=flat
		boot: disk
		com1: enabled=1, mode=file, dev="$dir/console.log"
		com2: enabled=1, mode=file, dev="$dir/said"
		log: $dir/bochs.log
		panic: action=report
		error: action=report
		info: action=report
		debug: action=ignore
	END
	echo c >"$dir/bochs.rc"
}

# Its own process group, so that nothing of it is left behind.
start_bochs() {
	truncate -s 0 "$dir/disk" "$dir/console.log" "$dir/said"
	truncate -s $((1 + JOB_ROOM + ANSWER_ROOM))M "$dir/disk"
	dd if="$dir/boot.sector" of="$dir/disk" conv=notrunc status=none
	rm -f "$dir/disk.lock" "$dir/sequence"
	setsid timeout -k 5 "$LIFETIME" bochs-bin -q -f "$dir/bochsrc" -rc "$dir/bochs.rc" \
		>"$dir/bochs.out" 2>&1 </dev/null &
	echo $! >"$dir/pid"
}

group() {
	cat "$dir/pid" 2>/dev/null
}

is_alive() {
	local pid
	pid=$(group) && [ -n "$pid" ] && kill -0 -- "-$pid" 2>/dev/null
}

freeze() {
	kill -STOP -- "-$(group)" 2>/dev/null || true
}

thaw() {
	kill -CONT -- "-$(group)" 2>/dev/null || true
}

stop_host() {
	local pid
	if pid=$(group) && [ -n "$pid" ]; then
		# It may have died by itself.
		kill -KILL -- "-$pid" 2>/dev/null || true
	fi
	rm -f "$dir/pid" "$dir/sequence" "$dir/disk" "$dir/disk.lock" "$dir/image"
}

trouble() {
	echo "intel.sh: FAILED: $1; the console's last lines:"
	tail -n 25 "$dir/bochs.out" "$dir/console.log" 2>/dev/null | tr -cd '\11\12\40-\176' |
		sed "s/^/| /" || true
	stop_host
	exit 125
}

start() {
	local append='' deadline=$((SECONDS + BOOT_TIMEOUT))
	while [ $# -gt 0 ]; do
		case $1 in
		--append=*) append=${1#*=} ;;
		--append)
			[ $# -ge 2 ] || die "$1 needs a value"
			append=$2
			shift
			;;
		*) die "start takes --append WORDS, not $1" ;;
		esac
		shift
	done
	need bochs-bin setsid flock cc ld objcopy od
	! is_alive || die "a host already runs in $dir"
	prepare_kernel "$cache/intel-initramfs" "$here/intel-init" "$INTEL_MODULES" "$here/intel-load-kvm"
	(flock 9 && make_flat) 9>"$cache/lock"
	make_setup
	make_image
	make_boot_code
	write_bochsrc
	trap stop_host EXIT
	trap 'exit 130' INT TERM HUP
	start_bochs
	until grep -q '^intel-host: ready' "$dir/said"; do
		is_alive || trouble "the host did not boot"
		((SECONDS < deadline)) || trouble "the host did not boot in $BOOT_TIMEOUT s"
		sleep 0.5
	done
	freeze
	echo 0 >"$dir/sequence"
	trap - EXIT
}

parse_job_options() {
	time_limit=600 files=() job_env=()
	while [ $# -gt 0 ]; do
		case $1 in
		--*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
		esac
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--file) files+=("$2") ;;
		--env) job_env+=("$2") ;;
		--timeout) time_limit=$2 ;;
		*) die "unknown option $1" ;;
		esac
		shift 2
	done
}

# What the job finds in its current directory, as links; tar follows them.
collect_files() {
	local file path name assignment value
	for file in "${files[@]}"; do
		path=${file%%=*} name=$(basename "$path")
		[ "$path" = "$file" ] || name=${file#*=}
		[ -e "$path" ] || die "there is no $path"
		mkdir -p "$(dirname "$work/$name")"
		ln -s "$(realpath "$path")" "$work/$name"
	done
	ln -s "$(realpath "$job")" "$work/.job"
	{
		for assignment in "${job_env[@]}"; do
			value=${assignment#*=}
			printf "export %s='%s'\n" "${assignment%%=*}" "${value//\'/\'\\\'\'}"
		done
		echo '. ./.job'
	} >"$work/.start"
}

send_job() {
	local bytes
	tar -chf "$dir/job.tar" -C "$work" .
	bytes=$(stat -c %s "$dir/job.tar")
	((bytes <= JOB_ROOM << 20)) || die "the job's files are more than $JOB_ROOM MiB"
	dd if="$dir/job.tar" of="$dir/disk" bs=1M seek=1 conv=notrunc status=none
	printf 'job %d %d %d\n' "$sequence" "$bytes" "$ANSWER_AT" |
		dd of="$dir/disk" bs=4096 seek=1 conv=notrunc,sync status=none
	rm -f "$dir/job.tar"
}

# Shows what is said until the end of the job is. A line without its end is kept for the next read.
listen() {
	local deadline=$((SECONDS + time_limit)) part line='' said
	exec {said}<"$dir/said"
	head -c "$heard" <&"$said" >/dev/null
	while :; do
		if ! IFS= read -r -u "$said" part; then
			line+=$part
			is_alive || trouble "the host died"
			((SECONDS < deadline)) || trouble "the job did not finish in $time_limit s"
			sleep 0.2
			continue
		fi
		line+=$part
		case $line in
		*"intel-host: end $sequence "*) break ;;
		esac
		printf '%s\n' "$line"
		line=''
	done
	# What the job said last need not end a line.
	[ "${line%intel-host: end*}" = "" ] || printf '%s\n' "${line%intel-host: end*}"
	read -r _ _ _ status answer <<<"intel-host: end${line##*intel-host: end}"
}

take_answer() {
	mkdir -p "$out"
	dd if="$dir/disk" bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$((ANSWER_AT << 20)) \
		count="$answer" status=none | tar -x -C "$out"
}

job() {
	[ $# -ge 2 ] || usage
	job=$1 out=$2
	shift 2
	parse_job_options "$@"
	[ -e "$dir/sequence" ] || die "no host is ready in $dir"
	exec 8>"$dir/lock"
	flock 8
	is_alive || die "the host in $dir is gone"
	sequence=$(($(cat "$dir/sequence") + 1))
	echo "$sequence" >"$dir/sequence"
	heard=$(stat -c %s "$dir/said")
	work=$(mktemp -d "$dir/job.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	collect_files
	send_job
	# A job that is interrupted goes on in there: that host is of no more use.
	trap 'stop_host; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	thaw
	listen
	freeze
	take_answer
	trap 'rm -rf "$work"' EXIT
	exit "$status"
}

[ $# -ge 2 ] || usage
command=$1
shift
case $command in
start | job | stop)
	[ "$command" != start ] || mkdir -p "$1"
	dir=$(realpath "$1")
	shift
	;;&
start) start "$@" ;;
job) job "$@" ;;
stop) stop_host ;;
*) usage ;;
esac
