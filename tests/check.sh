#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All tests: style, gcc and clang with warnings as errors, unit tests with and without sanitizers,
# fuzz targets on their corpus, the emulated hosts, and the readers on what those made. What failed is
# said again at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/artefacts
planned=0
passed=0
failed=0
start=$SECONDS
failures=$(mktemp)

# verdict TITLE STATUS SECONDS LOG
verdict() {
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		printf '%-58s ok (%d s)\n' "$1" "$3"
	else
		failed=$((failed + 1))
		printf '%-58s FAILED (%d s)\n' "$1" "$3"
		tail -n 80 "$4" | sed 's/^/    /'
		{
			echo "failed: $1"
			tail -n 12 "$4" | cut -c -160 | sed 's/^/    /'
		} >>"$failures"
	fi
}

# step TITLE COMMAND...: runs it, shows how long it took, and its output only if it fails.
step() {
	local title=$1 log status=0 begin=$SECONDS
	shift
	planned=$((planned + 1))
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	verdict "$title" $status $((SECONDS - begin)) "$log"
	rm -f "$log"
}

# Steps that keep one processor busy: beside TITLE COMMAND... puts one into the queue, run_beside runs them two at a
# time. What one says is shown if it fails.
titles=()
commands=()
beside() {
	planned=$((planned + 1))
	titles+=("$1")
	commands+=("$(printf '%q ' "${@:2}")")
}

# The same for what needs no emulated host: it gives way to those, whose clocks go on.
spare() {
	beside "$@"
	commands[-1]="renice -n 19 \$\$ >/dev/null && ${commands[-1]}"
}

run_beside() {
	local i last pid status running=0 logs
	local -A of_pid
	local -a begun
	logs=$(mktemp -d)
	for ((i = 0; i < ${#titles[@]} || running > 0; i++)); do
		if ((i >= ${#titles[@]} || running >= 2)); then
			status=0
			wait -n -p pid || status=$?
			last=${of_pid[$pid]}
			verdict "${titles[last]}" $status $((SECONDS - begun[last])) "$logs/$last"
			running=$((running - 1))
		fi
		((i < ${#titles[@]})) || continue
		begun[i]=$SECONDS
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

# What the build with sanitizers leaves out, too. One option is gcc's alone.
clang_warnings() {
	cd build/release &&
		jq -r '.[].command' compile_commands.json |
		sed 's/^[^ ]*/clang -fsyntax-only/; s/ -fno-var-tracking-assignments//; s/ -o [^ ]*//' |
			xargs -d '\n' -n 1 -P "$(nproc)" bash -c
}

format() {
	find . -path ./build -prune -o -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
}
export -f build clang_warnings format

step "gcc builds without a warning" build release

# The pairs of hosts need more than one processor, and less than two: what else there is to do then takes what they
# leave.
beside "emulated hosts" tests/hosts/check.sh build/release "$out"
spare "clang with ASan, UBSan and libFuzzer builds" build sanitize
beside "a nested guest moves between two hosts, or must not" \
	env KILLS="${KILLS:-6}" tests/hosts/migrate.sh build/release "$out/migrate"
spare "clang has no warning" clang_warnings
spare "clang-format has nothing to change" format
spare "the project keeps its own rules" tests/self.sh build/release
spare "the guard's service asks for no more than it needs" tests/service.sh build/release
spare "unit tests with ASan and UBSan" ctest --preset sanitize
spare "unit tests" ctest --preset release
spare "command line goldens with ASan and UBSan" tests/cli/run.sh build/sanitize
spare "command line goldens" tests/cli/run.sh build/release
spare "readers on streams of the hosts, whole and damaged" tests/readers.sh build/sanitize "$out"
spare "report pages in a real browser" tests/report.sh build/release
spare "containers of QEMU and libvirt, as kept" tests/containers.sh build/release tests/cases/containers

# The longest first.
beside "the guard comes and goes" env CYCLES="${CYCLES:-10}" TESTS="refused killed cycles pinned" \
	tests/hosts/guard-qemu.sh build/release "$out/guard-qemu-2"
beside "the guard on real KVM" env CYCLES="${CYCLES:-30}" tests/hosts/guard.sh build/release "$out/guard"
beside "the guard's commands on real KVM" tests/hosts/guard-cli.sh build/release "$out/guard-cli"
beside "QEMU and libvirt under the guard" env TESTS=valid tests/hosts/guard-qemu.sh build/release "$out/guard-qemu"
beside "containers of QEMU and libvirt, made anew" tests/hosts/containers.sh build/release "$out"
beside "libvirt's hook" tests/hosts/hook.sh build/release "$out/hook"
beside "the seeds, by name, on real KVM with VMX" \
	env VENDOR=intel BUILD=build/release tests/hosts/seeds.sh build/seeds-intel
beside "migrations of real QEMUs through the gate under TCG" env KILLS="${KILLS:-6}" \
	timeout 600 tests/cli/gate.sh build/release
beside "the guard's commands beside a guest, and without room" \
	env TESTS="top_beside host best_effort" tests/hosts/guard-cli.sh build/release "$out/guard-cli-2"
beside "the guard on a newer kernel" env NESTMIG_KERNEL_SUITE=bookworm-backports TESTS="cases vmm told" \
	tests/hosts/guard.sh build/release "$out/guard-newer"
beside "measurements run, and bytes read do not depend on RAM" bench/run.sh build/release --quick
beside "the rules give one answer in the kernel and in the library" \
	tests/hosts/guard-rules.sh build/release "$out/guard-rules" 2
beside "the same on a newer kernel" env NESTMIG_KERNEL_SUITE=bookworm-backports \
	tests/hosts/guard-rules.sh build/release "$out/guard-rules-newer" 0
beside "profiles of a host with VMX, with probes of real kvm_intel" \
	env VENDOR=intel tests/hosts/host-profile.sh build/release "$out/host-profile-intel"
beside "the guard's commands without BPF LSM" env TESTS=nolsm \
	tests/hosts/guard-cli.sh build/release "$out/guard-cli-3"
beside "profiles of a host, compared, with probes of real KVM" \
	tests/hosts/host-profile.sh build/release "$out/host-profile"
beside "the seeds, by name, on real KVM" env BUILD=build/release tests/hosts/seeds.sh build/seeds
beside "snapshot and restore of real QEMUs under TCG" tests/cli/live.sh build/release
beside "migrations between real QEMUs under TCG, and what kills them" env KILLS="${KILLS:-6}" \
	tests/migrate.sh build/release
beside "a parser that has been taken over can do nothing" tests/sandbox.sh build/release
run_beside

# These keep both processors busy by themselves.
step "KVM does what is foretold, for 2,000 mutated states" \
	tests/hosts/differential.sh build/release build/differential 2000 20261121
step "kvm_intel does what is foretold, for 400 mutated states" \
	env VENDOR=intel tests/hosts/differential.sh build/release build/differential-intel 400 20261121
step "fuzz targets, 60 s each" env AT_ONCE=$((2 * $(nproc))) tests/fuzz/run.sh build/sanitize "$out"

echo "Not run here: tests/hosts/guard-intel.sh (a quarter of an hour)."
echo "$passed of $planned passed, $failed failed, in $((SECONDS - start)) s"
cat "$failures"
rm -f "$failures"
if [ "$passed" = "$planned" ]; then
	echo "nestmig: all tests passed."
else
	echo "nestmig: $((planned - passed)) of $planned test steps did not pass; more of what they say stands above."
	exit 1
fi
