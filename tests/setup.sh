#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the Debian packages of the sets that are named: build, hosts, tests. Says which, and does
# nothing if they are all there.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config scdoc libjansson-dev libzstd-dev libxxhash-dev
libseccomp-dev libcap-ng-dev libsmartcols-dev libexpat1-dev zlib1g-dev libbz2-dev liblzma-dev liblzo2-dev libbpf-dev bpftool
libsystemd-dev libvirt-dev clang-14 check"
hosts="qemu-system-x86 qemu-utils seabios busybox-static cpio kmod jq strace socat zstd iproute2 ca-certificates
bochs bochs-term bochsbios vgabios xz-utils"
tests="systemd python3-prometheus-client clang clang-format libclang-rt-14-dev lld man-db bzip2 lzop xz-utils zstd chromium"

# libvirt without its units, networks and users: nothing of it is started here, only in emulated hosts.
tests="$tests libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients bzip2 lzop xz-utils"

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	hosts) wanted="$wanted $hosts" ;;
	tests) wanted="$wanted $tests" ;;
	*)
		echo "setup.sh: there is no set of packages \"$set\"" >&2
		exit 2
		;;
	esac
done

missing=
for package in $wanted; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
		missing="$missing $package"
done

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
# The kernel of the emulated hosts comes from apt too, so its lists must be there.
if [ -n "$missing" ] || ! apt-cache show linux-image-amd64 >/dev/null 2>&1; then
	echo "Refreshing the package lists (apt-get update)"
	$as_root apt-get update -qq
fi
[ -n "$missing" ] || exit 0
echo "Installing with apt-get:$missing"
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends \
	-o Dpkg::Use-Pty=0 $missing >/dev/null
