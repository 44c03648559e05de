#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All tests: style, gcc and clang with warnings as errors, unit tests with and without sanitizers,
# fuzz targets on their corpus, the emulated hosts, and the readers on what those made.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/artefacts
passed=0
failed=0
start=$SECONDS

# step TITLE COMMAND...: runs it, shows how long it took, and its output only if it fails.
step() {
	local title=$1 log begin=$SECONDS
	shift
	log=$(mktemp)
	printf '%-58s ' "$title"
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok ($((SECONDS - begin)) s)"
	else
		failed=$((failed + 1))
		echo "FAILED ($((SECONDS - begin)) s)"
		tail -n 80 "$log" | sed 's/^/    /'
	fi
	rm -f "$log"
}

# The same for what takes long: its output is shown as it comes.
long_step() {
	local title=$1 begin=$SECONDS
	shift
	echo "$title ..."
	if "$@" 2>&1 | sed 's/^/    /'; then
		passed=$((passed + 1))
		printf '%-58s ok (%d s)\n' "$title" "$((SECONDS - begin))"
	else
		failed=$((failed + 1))
		printf '%-58s FAILED (%d s)\n' "$title" "$((SECONDS - begin))"
	fi
}

# Steps that keep one processor busy: beside TITLE COMMAND... puts one into the queue, run_beside runs them two at a
# time. What one says is shown if it fails.
titles=()
commands=()
beside() {
	titles+=("$1")
	commands+=("$(printf '%q ' "${@:2}")")
}

# ended PID STATUS
ended() {
	local i=${of_pid[$1]}
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		printf '%-58s ok (%d s)\n' "${titles[i]}" $((SECONDS - begun[i]))
	else
		failed=$((failed + 1))
		printf '%-58s FAILED (%d s)\n' "${titles[i]}" $((SECONDS - begun[i]))
		tail -n 80 "$logs/$i" | sed 's/^/    /'
	fi
}

run_beside() {
	local i pid status running=0 logs
	local -A of_pid
	local -a begun
	logs=$(mktemp -d)
	for ((i = 0; i < ${#titles[@]} || running > 0; i++)); do
		if ((i >= ${#titles[@]} || running >= 2)); then
			status=0
			wait -n -p pid || status=$?
			ended "$pid" "$status"
			running=$((running - 1))
		fi
		((i < ${#titles[@]})) || continue
		begun[$i]=$SECONDS
		bash -c "${commands[i]}" >"$logs/$i" 2>&1 </dev/null &
		of_pid[$!]=$i
		running=$((running + 1))
	done
	rm -rf "$logs"
	titles=() commands=()
}

build() {
	cmake --preset "$1" && cmake --build --preset "$1"
}

# With the time that is left over by what runs beside it.
build_beside() {
	nice -n 19 cmake --preset "$1" && nice -n 19 cmake --build --preset "$1"
}

format() {
	find . -path ./build -prune -o -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
}
export -f build_beside format

step "gcc builds without a warning" build release

# The pairs of hosts need more than one processor, and less than two.
beside "emulated hosts" tests/hosts/check.sh build/release "$out"
beside "gcc with ASan and UBSan builds" build_beside sanitize
beside "a nested guest moves between two hosts, or must not" \
	env KILLS="${KILLS:-6}" tests/hosts/migrate.sh build/release "$out/migrate"
beside "clang builds without a warning" build_beside clang
beside "clang with libFuzzer builds" build_beside fuzz
beside "clang-format has nothing to change" format
beside "the project keeps its own rules" tests/self.sh build/release
beside "the guard's service asks for no more than it needs" tests/service.sh build/release
run_beside

beside "unit tests" ctest --preset release
beside "unit tests with ASan and UBSan" ctest --preset sanitize
beside "QEMU and libvirt under the guard" env TESTS=valid tests/hosts/guard-qemu.sh build/release "$out/guard-qemu"
beside "the guard's commands on real KVM" tests/hosts/guard-cli.sh build/release "$out/guard-cli"
beside "the guard comes and goes" env CYCLES="${CYCLES:-10}" TESTS="refused killed cycles pinned" \
	tests/hosts/guard-qemu.sh build/release "$out/guard-qemu-2"
beside "the seeds, by name, on real KVM with VMX" \
	env VENDOR=intel BUILD=build/release tests/hosts/seeds.sh build/seeds-intel
beside "containers of QEMU and libvirt, made anew" tests/hosts/containers.sh build/release "$out"
beside "the guard on real KVM" env CYCLES="${CYCLES:-30}" tests/hosts/guard.sh build/release "$out/guard"
beside "the rules give one answer in the kernel and in the library" \
	tests/hosts/guard-rules.sh build/release "$out/guard-rules" 2
beside "the same on a newer kernel" env NESTMIG_KERNEL_SUITE=bookworm-backports \
	tests/hosts/guard-rules.sh build/release "$out/guard-rules-newer" 0
beside "the guard on a newer kernel" env NESTMIG_KERNEL_SUITE=bookworm-backports TESTS="cases vmm told" \
	tests/hosts/guard.sh build/release "$out/guard-newer"
beside "libvirt's hook" tests/hosts/hook.sh build/release "$out/hook"
beside "profiles of a host, compared, with probes of real KVM" \
	tests/hosts/host-profile.sh build/release "$out/host-profile"
beside "profiles of a host with VMX, with probes of real kvm_intel" \
	env VENDOR=intel tests/hosts/host-profile.sh build/release "$out/host-profile-intel"
beside "migrations of real QEMUs through the gate under TCG" env KILLS="${KILLS:-6}" \
	timeout 600 tests/cli/gate.sh build/release
beside "migrations between real QEMUs under TCG, and what kills them" env KILLS="${KILLS:-6}" \
	tests/migrate.sh build/release
beside "snapshot and restore of real QEMUs under TCG" tests/cli/live.sh build/release
beside "the seeds, by name, on real KVM" env BUILD=build/release tests/hosts/seeds.sh build/seeds
beside "a parser that has been taken over can do nothing" tests/sandbox.sh build/release
beside "command line goldens" tests/cli/run.sh build/release
beside "command line goldens with ASan and UBSan" tests/cli/run.sh build/sanitize
beside "containers of QEMU and libvirt, as kept" \
	tests/containers.sh build/release tests/cases/containers
beside "report pages in a real browser" tests/report.sh build/release
beside "readers on streams of the hosts, whole and damaged" tests/readers.sh build/sanitize "$out"
beside "measurements run, and bytes read do not depend on RAM" bench/run.sh build/release --quick
run_beside

long_step "KVM does what is foretold, for 2,000 mutated states" \
	tests/hosts/differential.sh build/release build/differential 2000 20261121
long_step "kvm_intel does what is foretold, for 400 mutated states" \
	env VENDOR=intel tests/hosts/differential.sh build/release build/differential-intel 400 20261121
step "fuzz targets, 60 s each" tests/fuzz/run.sh build/fuzz "$out"

echo "Not run here: tests/hosts/guard-intel.sh (a quarter of an hour), parts of tests/hosts/guard-cli.sh."
echo "$passed passed, $failed failed"
if [ "$failed" = 0 ]; then
	echo "nestmig: all tests passed in $((SECONDS - start)) s."
else
	echo "nestmig: $failed of $((passed + failed)) test steps failed; see above."
	exit 1
fi
