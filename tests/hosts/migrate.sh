#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh BUILD OUTDIR: `nestmig migrate` of a nested guest on real KVM, from one QEMU to another on one host.
set -uo pipefail

[ $# -eq 2 ] || { echo "usage: migrate.sh BUILD OUTDIR" >&2; exit 2; }
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

prepare_programs "$1"
cp "$NESTMIG" "$L1" "$scratch/" 2>/dev/null
EXTRA_WORDS="$FAST_WORDS" run_role migrate.sh "$2" "" "NESTMIG=$scratch/nestmig" "L1=$L1" "CPUS=1"
