#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh BUILD OUTDIR: the demo as a test, once more with a guest of two vCPUs; and OUTDIR/A gets the
# genuine files that the readers are tested with: see roles/artefacts.sh.
#
# Environment: as for demo.sh.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: check.sh BUILD OUTDIR"
prepare_programs "$1"
if run_pair check-source.sh check-destination.sh "$2"; then
	echo "check: passed in $SECONDS s, files in $2/A"
else
	echo "check: FAILED after $SECONDS s, see above"
	exit 1
fi
