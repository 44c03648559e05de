#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard-intel.sh BUILD OUTDIR: the guard on kvm_intel, in an emulated Intel host, always: what is judged, denied and
# told. OUTDIR gets its events. INTEL_HOST: a directory where intel.sh has started a host before.
# VARIANTS: only these states; TESTS: only these of its parts.
set -uo pipefail
TIME_LIMIT=${TIME_LIMIT:-3600}
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 2 ] || fail "usage: guard-intel.sh BUILD OUTDIR"
find_program GUARDRUN "$1/tests/nestmig-guardrun"
find_program NESTMIG "$1/cmd/nestmig"
rm -rf "$2"
mkdir -p "$2" "$scratch/cases"
out=$(realpath "$2")

collect "$scratch/guard" "$GUARDRUN" "$NESTMIG"
cp "$hosts/roles/guarding.sh" "$scratch/guard"

# at FIELD: where a field of the VMCS12 is in struct kvm_nested_state
at() {
	sed -n "s/^VMCS_FIELD(\([0-9]*\), [0-9]*, $1,.*/\1/p" "$hosts/../../lib/vmcs/layout.def" |
		awk '{ print $1 + 128 }'
}

# In BASE.cases: see rawdump_cases.c. Events: struct kvm_vcpu_events; SMBASE is 0x30000; L1's list of EPT pointers is
# at 0x19000, and R8 is the entry that L2 takes next.
write_cases() {
	local order="KVM_SET_CPUID2,KVM_SET_MSRS,KVM_SET_NESTED_STATE,KVM_SET_SREGS2,KVM_SET_REGS,KVM_SET_XSAVE"
	cat >long-ept.cases <<-END
		case good
		case pin-reserved
		poke vcpu0/nested_state $(at pin_based_vm_exec_control) 00000000
		case cs-long-and-wide
		poke vcpu0/nested_state $(at guest_cs_ar_bytes) 9be00000
		case cs-dpl
		poke vcpu0/nested_state $(at guest_cs_ar_bytes) fba00000
		case sregs-good
		restore_order $order,KVM_SET_VCPU_EVENTS,KVM_SET_MP_STATE,KVM_SET_DEBUGREGS
		case sregs-fs-system
		restore_order $order,KVM_SET_VCPU_EVENTS,KVM_SET_MP_STATE,KVM_SET_DEBUGREGS
		poke vcpu0/sregs2 $((3 * 24)) 0000000000000000ffffffff1000030100010000010000
		case events-ud
		poke vcpu0/vcpu_events 0 0106000000000000
		case events-vector-32
		restore_order $order,KVM_SET_VCPU_EVENTS,KVM_SET_MP_STATE,KVM_SET_DEBUGREGS
		poke vcpu0/vcpu_events 0 0020000100000000
		case triple-fault
		poke vcpu0/vcpu_events 28 01
		case smi-good
		poke vcpu0/vcpu_events 25 01
		case smi-cs-long-and-wide
		poke vcpu0/nested_state $(at guest_cs_ar_bytes) 9be00000
		poke vcpu0/vcpu_events 25 01
	END
	cat >smm-l2-long-ept.cases <<-END
		case good
		case cr0-nw-without-cd
		poke mem/0 $((0x3ff58)) 330001a0
	END
	cat >l1-long-ept.cases <<-END
		case good
		case l1-pin-reserved
		poke vcpu0/nested_state $(at pin_based_vm_exec_control) 00000000
		case l1-cs-long-and-wide
		poke vcpu0/nested_state $(at guest_cs_ar_bytes) 9be00000
		case l1-rflags
		poke vcpu0/nested_state $(at guest_rflags) 00
	END
	cat >eptplist-long.cases <<-END
		case good
		case eptp-bit-7
		poke vcpu0/regs 64 0e
		poke mem/0 $((0x19000 + 8 * 14)) de20010000000000
		case eptp-not-ram
		poke vcpu0/regs 64 14
		poke mem/0 $((0x19000 + 8 * 20)) 5e00000001000000
	END
}

(cd "$scratch/cases" && write_cases)
start_intel_host "$out/host"
build_guest
run_role guard-intel.sh "$out" "${WORDS:-}" "CASES=$scratch/cases" "GUARD=$scratch/guard" "VARIANTS=${VARIANTS:-}" \
	"TESTS=${TESTS:-enforce audit texts}"
