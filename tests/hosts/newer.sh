#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# newer.sh BUILD OUTDIR SUITE PREFIX: one nested guest in the containers that the QEMU of a newer
# Debian knows (SUITE, e.g. bookworm-backports), made in an emulated host (roles/newer.sh) and read by the
# nestmig of BUILD (../containers.sh). The packages are downloaded and unpacked below OUTDIR, never
# installed. PREFIX begins the files' names: the version of QEMU.
#
# With KEEP=DIR what was made is packed into DIR, where cases/containers comes from.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"
# shellcheck source=suite.sh
. "$(dirname "$0")/suite.sh"

# Programs of theirs only: what else the packages need, this machine has.
unpack_newer() {
	local package
	apt_of_suite "$out/apt" "$suite" apt-get -qq update || return
	apt_of_suite "$out/apt" "$suite" apt-get -qq -y --no-install-recommends --download-only install \
		qemu-system-x86 qemu-utils || return
	mkdir -p "$out/root"
	for package in "$out"/apt/archives/{lib,qemu,seabios,zlib}*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$out/root" --exclude=./usr/share/{doc,locale,man} || return
	done
}

[ $# -eq 4 ] || fail "usage: newer.sh BUILD OUTDIR SUITE PREFIX"
mkdir -p "$2"
build=$1 out=$(realpath "$2") suite=$3 prefix=$4
L1=$scratch/l1.elf
"$hosts/l1/build.sh" "$L1" || fail "cannot build the nested guest"
[ -d "$out/root" ] || unpack_newer || fail "cannot fetch QEMU of $suite"
rm -rf "${out:?}/containers"
mkdir -p "$out/containers"
"$hosts/host.sh" run N "$hosts/roles/newer.sh" "$out/containers" --clock instructions --timeout "$TIME_LIMIT" \
	--keep "$scratch" --keep "$out/root" --env "NEWER=$out/root" --env "PREFIX=$prefix" --env "L1=$L1" ||
	fail "the containers could not be made"
"$hosts/../containers.sh" "$build" "$out/containers" "$prefix-*" || fail "not all is read as it should be"
if [ -n "${KEEP:-}" ]; then
	zstd -q -19 -f "$out/containers/$prefix"-* --output-dir-flat "$KEEP" || fail "cannot keep them in $KEEP"
fi
echo "newer: passed in $SECONDS s, files in $out/containers"
