#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# containers.sh BUILD OUTDIR: one nested guest in every container that this machine's QEMU and libvirt
# know, made in an emulated host (roles/containers.sh), and read by the nestmig of BUILD
# (../containers.sh). Never on this machine's own KVM: libvirt's daemon is to run nowhere but there.
#
# With KEEP=DIR what was made is packed into DIR, where cases/containers comes from.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: containers.sh BUILD OUTDIR"
build=$1 out=$2
L1=$scratch/l1.elf
"$hosts/l1/build.sh" "$L1" || fail "cannot build the nested guest"
rm -rf "${out:?}/containers"
mkdir -p "$out/containers"
"$hosts/host.sh" run C "$hosts/roles/containers.sh" "$out/containers" --clock instructions \
	--timeout "$TIME_LIMIT" --keep "$scratch" --env "L1=$L1" || fail "the containers could not be made"
"$hosts/../containers.sh" "$build" "$out/containers" '[!0-9]*' || fail "not all is read as it should be"
if [ -n "${KEEP:-}" ]; then
	zstd -q -19 -f "$out"/containers/*.{dev,qcow2,qemu,captured,raw,gzip,bzip2,xz,lzop} --output-dir-flat "$KEEP" ||
		fail "cannot keep them in $KEEP"
fi
echo "containers: passed in $SECONDS s, files in $out/containers"
