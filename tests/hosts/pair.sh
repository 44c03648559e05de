# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two hosts and one role on each (to be sourced by demo.sh, check.sh and oracle.sh).
#
# Where /dev/kvm itself runs nested SVM guests, both roles run on this machine, over 127.0.0.1;
# else, or with EMULATE=1, in two emulated hosts joined by a cable.

hosts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TIME_LIMIT=${TIME_LIMIT:-1200}
scratch=$(mktemp -d)
role_pids=()
# NAME=VALUE: what else the two roles of run_pair get.
role_extra=()

stop_roles() {
	[ ${#role_pids[@]} -eq 0 ] || kill "${role_pids[@]}" 2>/dev/null
	wait
	rm -rf "$scratch"
}
trap stop_roles EXIT
trap 'exit 130' INT TERM HUP

fail() {
	echo "$(basename "$0"): $*" >&2
	exit 2
}

# find_program VARIABLE FILE...: the first file that can be run, unless the variable already names one.
find_program() {
	local variable=$1 file
	shift
	for file in "${!variable:-}" "$@"; do
		if [ -n "$file" ] && [ -x "$file" ]; then
			printf -v "$variable" %s "$(realpath "$file")"
			return
		fi
	done
	fail "cannot find $1: build the project, or set $variable"
}

# What an emulated Intel host runs must be linked statically; no QEMU runs there, so no L1 for it.
build_guest() {
	L1=$scratch/l1.elf RAWDUMP=$scratch/rawdump
	if [ -n "${INTEL_HOST:-}" ]; then
		"$hosts/rawdump/build.sh" "$RAWDUMP" -static || fail "cannot build rawdump"
		return
	fi
	if ! "$hosts/l1/build.sh" "$L1" || ! "$hosts/rawdump/build.sh" "$RAWDUMP"; then
		fail "cannot build the nested guest"
	fi
}

# collect DIR PROGRAM...: programs and what they need, for a host without shared libraries: there
# DIR/ld-linux-x86-64.so.2 --library-path DIR runs them.
collect() {
	local dir=$1
	shift
	mkdir -p "$dir"
	ldd "$@" | grep -o '/[^ ]*' | grep -v ':$' | sort -u | xargs -I'{}' cp -L '{}' "$dir" ||
		fail "cannot collect libraries"
	cp "$@" "$dir" || fail "cannot copy $*"
	strip --strip-debug "${@/#*\//$dir/}" || fail "cannot strip $*"
}

# start_intel_host DIR: unless INTEL_HOST says where one runs; it ends with the script.
start_intel_host() {
	[ -z "${INTEL_HOST:-}" ] || return 0
	INTEL_HOST=$1
	trap '"$hosts/intel.sh" stop "$INTEL_HOST"; stop_roles' EXIT
	"$hosts/intel.sh" start "$INTEL_HOST" || fail "cannot boot the emulated Intel host"
}

# prepare_programs BUILD
prepare_programs() {
	build_guest
	find_program NESTMIG "$1/cmd/nestmig"
	find_program NESTMIG_POKE "$1/tests/nestmig-poke"
}

kvm_runs_nested_svm() {
	[ "${EMULATE:-0}" != 1 ] && [ -w /dev/kvm ] &&
		grep -qs '[1Y]' /sys/module/kvm_amd/parameters/nested &&
		"$RAWDUMP" host "$scratch/host" 2>/dev/null
}

# What makes VMs cheaper still to make and to tear down: no statistics files for each.
MANY_VMS="debugfs=off"

# run_intel_role ROLE OUTDIR WORDS [NAME=VALUE...]: on the emulated Intel host that runs in INTEL_HOST, see
# intel.sh, with WORDS, e.g. "kvm_intel.ept=0", as parameters of its modules. Directories in values are
# sent there.
run_intel_role() {
	local role=$1 out=$2 words=$3 assignment options=()
	shift 3
	for assignment; do
		if [ -d "${assignment#*=}" ]; then
			options+=(--file "${assignment#*=}=${assignment%%=*}"
				--env "${assignment%%=*}=./${assignment%%=*}")
		else
			options+=(--env "$assignment")
		fi
	done
	# A VM is torn down sooner without RCU's grace periods.
	echo "load_kvm $words && echo 1 >/sys/kernel/rcu_expedited && . ./role" >"$scratch/job"
	"$hosts/intel.sh" job "$INTEL_HOST" "$scratch/job" "$out" --timeout "$TIME_LIMIT" \
		--file "$hosts/roles/$role=role" --file "$RAWDUMP=rawdump" --env RAWDUMP=./rawdump \
		--env OUT=./out "${options[@]}"
}

# run_role ROLE OUTDIR WORDS [NAME=VALUE...]: one role on one host; emulated, and with WORDS on its
# kernel's command line, unless this machine's own KVM will do. Directories in values are shown inside.
# EXTRA_WORDS are added if it is emulated, but force nothing.
run_role() {
	local role=$hosts/roles/$1 words=$3 assignment options=() status=0
	mkdir -p "$2"
	OUT=$(realpath "$2")
	if [ -n "${INTEL_HOST:-}" ]; then
		run_intel_role "$1" "$OUT" "${@:3}"
		return
	fi
	shift 3
	set -- "RAWDUMP=$RAWDUMP" "$@"
	if [ -z "$words" ] && kvm_runs_nested_svm; then
		env "OUT=$OUT" "$@" "$role"
		return
	fi
	for assignment; do
		options+=(--env "$assignment")
		[ ! -d "${assignment#*=}" ] || options+=(--keep "${assignment#*=}")
	done
	"$hosts/host.sh" run O "$role" "$OUT" --append "$words ${EXTRA_WORDS:-}" --timeout "$TIME_LIMIT" \
		--keep "$scratch" "${options[@]}" || status=$?
	return $status
}

role_environment() {
	printf '%s\n' "NESTMIG=$NESTMIG" "NESTMIG_POKE=$NESTMIG_POKE" "L1=$L1" "RAWDUMP=$RAWDUMP" \
		"ADDRESS=$1" "PORT=${PORT:-7077}" "${role_extra[@]}"
}

# start_emulated NAME ROLE OUTDIR listen|connect; start_direct takes the same
start_emulated() {
	local assignments
	mapfile -t assignments < <(role_environment 10.99.0.1)
	"$hosts/host.sh" run "$1" "$2" "$3" --net "$4:$scratch/cable" --timeout "$TIME_LIMIT" \
		--keep "$scratch" --keep "$(dirname "$NESTMIG")" --keep "$(dirname "$NESTMIG_POKE")" \
		"${assignments[@]/#/--env=}" &
}

start_direct() {
	local assignments
	mkdir -p "$3"
	mapfile -t assignments < <(role_environment 127.0.0.1)
	env "${assignments[@]}" "OUT=$3" timeout -k 5 "$TIME_LIMIT" "$2" \
		> >(sed -u "s/^/$1: /") 2>&1 </dev/null &
}

wait_for_roles() {
	local ended pid status=0 left
	while [ ${#role_pids[@]} -gt 0 ] && [ $status -eq 0 ]; do
		wait -n -p ended "${role_pids[@]}" || status=$?
		left=()
		for pid in "${role_pids[@]}"; do
			[ "$pid" = "$ended" ] || left+=("$pid")
		done
		role_pids=("${left[@]}")
	done
	return $status
}

# run_pair SOURCE DESTINATION OUTDIR: roles on A and B; the first that fails ends the other.
run_pair() {
	local start=start_emulated
	if kvm_runs_nested_svm; then
		start=start_direct
		echo "this machine's own KVM runs nested SVM guests: both roles run on it"
	else
		echo "two emulated AMD hosts, A and B, with Debian's kernel and its kvm_amd"
		"$hosts/host.sh" prepare || return
	fi
	$start A "$hosts/roles/$1" "$3/A" listen
	role_pids+=($!)
	$start B "$hosts/roles/$2" "$3/B" connect
	role_pids+=($!)
	wait_for_roles
}
