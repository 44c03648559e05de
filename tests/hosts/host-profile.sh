#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# host-profile.sh BUILD OUTDIR: profiles of an emulated AMD host with nested=1, with npt=0 and with nested=0, taken in
# one boot with kvm_amd loaded anew, probes in VMs of their own included; what host diff and host advisories say of
# them. OUTDIR gets the profiles. It is about parameters that this machine's own KVM does not have, so always
# emulated. VENDOR=intel: of an emulated Intel host, with ept=0 instead of npt=0.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: host-profile.sh BUILD OUTDIR"
find_program NESTMIG "$1/cmd/nestmig"

# expect WHAT EXPRESSION PROFILE: jq finds it true.
failures=0
expect() {
	if jq -e "$2" "$out/$3.json" >/dev/null; then
		echo "ok $1"
	else
		echo "FAILED $1: $(jq -c .probes "$out/$3.json")"
		failures=$((failures + 1))
	fi
}

# Does the comparison of nested1 with that profile say that this is lost?
blocks() {
	"$NESTMIG" host diff --json "$out/nested1.json" "$out/$1.json" >"$out/$1.diff.json"
	expect "to $1: the $2 $3" \
		"any(.differences[]; .level == \"blocks\" and .kind == \"$2\" and .name == \"$3\")" "$1.diff"
}

intel_profiles() {
	local name words
	out=$(realpath "$2")
	collect "$scratch/nestmig" "$NESTMIG"
	build_guest
	start_intel_host "$out/host"
	while read -r name words; do
		run_role host-profile-intel.sh "$out" "$words" "PROGRAM=$scratch/nestmig" "NAME=$name" ||
			fail "no profile $name"
	done <<-END
		nested1
		ept0 kvm_intel.ept=0
		nested0 kvm_intel.nested=0
	END
	expect "nested=1: VMX is on, and L1 after VMXON is accepted" \
		'.probes | .vmxe == "accepted" and ."vmxon-state" == "accepted" and ."vmxon-unaligned" == "refused"' nested1
	expect "nested=1: the capability MSRs, EPT among them" '.msrs | length > 10 and ."0x48c" != null' nested1
	expect "nested=0: no VMX" '.probes | .vmxe == null and ."vmxon-state" == null' nested0
	blocks ept0 parameter kvm_intel.ept
	blocks nested0 parameter kvm_intel.nested
	blocks nested0 cpuid vmx
	echo "$failures failures"
	exit $((failures > 0))
}

mkdir -p "$2"
[ "${VENDOR:-}" != intel ] || INTEL_HOST=${INTEL_HOST:-} intel_profiles "$@"
"$hosts/host.sh" prepare || fail "cannot prepare the emulated host"
kernel=$(realpath "${NESTMIG_HOST_CACHE:-$hosts/../../build/hosts}/kernel")
"$hosts/host.sh" run P "$hosts/roles/host-profile.sh" "$(realpath "$2")" --timeout "$TIME_LIMIT" --clock instructions \
	--keep "$(dirname "$NESTMIG")" --keep "$kernel" --env "NESTMIG=$NESTMIG" --env "MODULE=$kernel/kvm-amd.ko" \
	--env "CHANGELOG=$(realpath "$hosts/../cases/host-package")/usr/share/doc"
