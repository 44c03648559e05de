#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard-qemu.sh BUILD OUTDIR: QEMU and libvirt under the guard, in two emulated AMD hosts side by side
# (roles/guard-qemu.sh): what they save, restore and migrate goes on undisturbed, a bad state is refused, the guard
# comes and goes while L2 runs. OUTDIR gets its events. CYCLES: how often it is attached and detached; LOADS: how often
# it is loaded for that; TESTS: only these parts of "valid refused killed cycles pinned", in one host; VALID: of "files
# snapshot cpus hotplug plain libvirt live".
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

# start_host NAME TESTS
start_host() {
	"$hosts/host.sh" run "$1" "$hosts/roles/guard-qemu.sh" "$out/$1" --clock "${CLOCK:-instructions}" \
		--timeout "$TIME_LIMIT" --keep "$scratch" --keep "$(dirname "$GUARDRUN")" \
		--keep "$(dirname "$NESTMIG_POKE")" --env "GUARDRUN=$GUARDRUN" \
		--env "NESTMIG_POKE=$NESTMIG_POKE" --env "L1=$L1" --env "TESTS=$2" \
		--env "CYCLES=${CYCLES:-300}" --env "LOADS=${LOADS:-3}" \
		--env "VALID=${VALID:-files snapshot cpus hotplug plain libvirt live}" &
	role_pids+=($!)
}

[ $# -eq 2 ] || fail "usage: guard-qemu.sh BUILD OUTDIR"
find_program GUARDRUN "$1/tests/nestmig-guardrun"
find_program NESTMIG_POKE "$1/tests/nestmig-poke"
L1=$scratch/l1.elf
"$hosts/l1/build.sh" "$L1" || fail "cannot build the nested guest"
mkdir -p "$2"
out=$(realpath "$2")
if [ -n "${TESTS:-}" ]; then
	start_host Q "$TESTS"
else
	start_host valid valid
	start_host others "refused killed cycles pinned"
fi
status=0
for pid in "${role_pids[@]}"; do
	wait "$pid" || status=1
done
role_pids=()
exit $status
