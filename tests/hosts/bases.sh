#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bases.sh OUTDIR [KERNEL WORDS]: genuine raw KVM dumps of every variant that the host can make, as
# OUTDIR/VARIANT: the states from which the cases of a differential test are made.
#
# KERNEL WORDS, e.g. "kvm_amd.npt=0", reach an emulated host's command line and force one. INTEL_HOST: see
# oracle.sh.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 1 ] || fail "usage: bases.sh OUTDIR [KERNEL WORDS]"
build_guest
run_role bases.sh "$1" "${2:-}"
