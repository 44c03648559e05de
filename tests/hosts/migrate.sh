#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh BUILD OUTDIR: a nested guest moves, live, between two emulated AMD hosts with QEMU and libvirt on each:
# by nestmig migrate, by virsh, through the gate; and does not where it must not (roles/migrate-source.sh). OUTDIR/A
# gets what nestmig said. TESTS: only these parts; KILLS: how often the gate is killed.
set -uo pipefail
export EMULATE=1
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: migrate.sh BUILD OUTDIR"
prepare_programs "$1"
kernel=$(realpath -m "${NESTMIG_HOST_CACHE:-$hosts/../../build/hosts}/kernel")
"$hosts/l1/build.sh" "$scratch/l1-paging.elf" -DNESTED_PAGING=1 &&
	"$hosts/l1/build.sh" "$scratch/l1-stuffed.elf" -DSTUFF_AT=20 || fail "cannot build the nested guests"
all="qemu refused stuffed cut killed gate gate_refused gate_killed"
all+=" virsh virsh_refused domain domain_refused domain_gate domain_gate_refused"
role_extra=("L1_PAGING=$scratch/l1-paging.elf" "L1_STUFFED=$scratch/l1-stuffed.elf" "KERNEL=$kernel" "KILLS=${KILLS:-50}"
	"GUEST_DIR=/tmp/nested-guest" "TESTS=${TESTS:-$all}")
if run_pair migrate-source.sh migrate-destination.sh "$2"; then
	echo "migrate: passed in $SECONDS s"
else
	echo "migrate: FAILED after $SECONDS s, see above"
	exit 1
fi
