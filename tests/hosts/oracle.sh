#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# oracle.sh DUMPS OUTDIR [KERNEL WORDS]: what real KVM does with each raw KVM dump DUMPS/NAME.
# OUTDIR/outcomes gets one line a dump, "NAME outcome WORD ...", sorted by name.
#
# KERNEL WORDS, e.g. "kvm_amd.npt=0", reach an emulated host's command line and force one.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

if [ $# -lt 2 ] || [ ! -d "$1" ]; then
	fail "usage: oracle.sh DUMPS OUTDIR [KERNEL WORDS]"
fi

mkdir -p "$2"
build_guest
export DUMPS OUT RAWDUMP
DUMPS=$(realpath "$1") OUT=$(realpath "$2")
if [ -z "${3:-}" ] && kvm_runs_nested_svm; then
	"$hosts/roles/oracle.sh"
	exit
fi
"$hosts/host.sh" run O "$hosts/roles/oracle.sh" "$OUT" --append "${3:-}" --timeout "$TIME_LIMIT" \
	--keep "$scratch" --keep "$DUMPS" --env "DUMPS=$DUMPS" --env "RAWDUMP=$RAWDUMP"
