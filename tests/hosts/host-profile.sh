#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# host-profile.sh BUILD OUTDIR: profiles of an emulated AMD host with nested=1, with npt=0 and with nested=0, taken in
# one boot with kvm_amd loaded anew, probes in VMs of their own included; what host diff and host advisories say of
# them. OUTDIR gets the profiles. It is about parameters that this machine's own KVM does not have, so always
# emulated.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: host-profile.sh BUILD OUTDIR"
find_program NESTMIG "$1/cmd/nestmig"
"$hosts/host.sh" prepare || fail "cannot prepare the emulated host"
kernel=$(realpath "${NESTMIG_HOST_CACHE:-$hosts/../../build/hosts}/kernel")
mkdir -p "$2"
"$hosts/host.sh" run P "$hosts/roles/host-profile.sh" "$(realpath "$2")" --timeout "$TIME_LIMIT" --clock instructions \
	--keep "$(dirname "$NESTMIG")" --keep "$kernel" --env "NESTMIG=$NESTMIG" --env "MODULE=$kernel/kvm-amd.ko" \
	--env "CHANGELOG=$(realpath "$hosts/../cases/host-package")/usr/share/doc"
