#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard.sh BUILD OUTDIR: the guard on real KVM, in an emulated AMD host, always: BPF programs are loaded nowhere
# else. What is judged, denied and told; races; what is left when it goes; OUTDIR gets its events. CYCLES: how often
# it is attached and detached; TESTS: only these parts of "genuine cases vmm told pinned load cycles".
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 2 ] || fail "usage: guard.sh BUILD OUTDIR"
find_program GUARDRUN "$1/tests/nestmig-guardrun"
EMULATE=1
build_guest
"$hosts/guard/build.sh" "$scratch/guardvmm" || fail "cannot build guardvmm"
mkdir -p "$2"
"$hosts/host.sh" run G "$hosts/roles/guard.sh" "$(realpath "$2")" --timeout "$TIME_LIMIT" \
	--keep "$scratch" --keep "$(dirname "$GUARDRUN")" --env "GUARDRUN=$GUARDRUN" \
	--env "GUARDVMM=$scratch/guardvmm" --env "RAWDUMP=$RAWDUMP" --env "CYCLES=${CYCLES:-3}" \
	--env "TESTS=${TESTS:-genuine cases vmm told pinned load cycles}" --append "$MANY_VMS no_timer_check"
