#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard-cli.sh BUILD OUTDIR: `nestmig guard` and `nestmig top` as an operator uses them, on real KVM in an emulated
# AMD host, always: BPF programs are loaded nowhere else. OUTDIR gets what they print.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: guard-cli.sh BUILD OUTDIR"
EMULATE=1
prepare_programs "$1"
"$hosts/guard/build.sh" "$scratch/guardvmm" || fail "cannot build guardvmm"
mkdir -p "$2"
"$hosts/host.sh" run C "$hosts/roles/guard-cli.sh" "$(realpath "$2")" --timeout "$TIME_LIMIT" --clock instructions \
	--keep "$scratch" --keep "$(dirname "$NESTMIG")" --env "NESTMIG=$NESTMIG" \
	--env "RAWDUMP=$RAWDUMP" --env "L1=$L1" --env "GUARDVMM=$scratch/guardvmm" || exit
"$hosts/../service.sh" "$1" "$2/calls"
