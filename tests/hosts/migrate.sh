#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh BUILD OUTDIR: a nested guest moves, live, between two emulated AMD hosts with QEMU and libvirt's daemon on each.
set -uo pipefail
export BOOT_TIMEOUT=${BOOT_TIMEOUT:-240} EMULATE=1
TIME_LIMIT=${TIME_LIMIT:-1200}
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: migrate.sh BUILD OUTDIR"
prepare_programs "$1"
kernel=$(realpath -m "${NESTMIG_HOST_CACHE:-$hosts/../../build/hosts}/kernel")
role_extra=("KERNEL=$kernel" "GUEST_DIR=/tmp/nested-guest")
if run_pair migrate-source.sh migrate-destination.sh "$2"; then
	echo "migrate: passed in $SECONDS s"
else
	echo "migrate: FAILED after $SECONDS s, see above"
	exit 1
fi
