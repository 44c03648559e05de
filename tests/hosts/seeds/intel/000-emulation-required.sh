# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # host and ept are set by seeds.sh
#
# Seed 000: state of L2 that KVM cannot run (emulation_required: vmx_guest_state_valid), in an L2 without
# "unrestricted guest", whatever the host has. Three ways in: KVM_SET_NESTED_STATE with it in the VMCS12,
# KVM_SET_SREGS2 and KVM_SET_REGS after KVM_SET_NESTED_STATE, RSM with SMRAM changed. KVM 6.1 gives L1 a
# triple fault of L2; with a VM entry pending, and RSM sets that, KVM_BUG_ON gives the whole VM up. What
# only the processor minds is a failed VM entry. Beside each a twin that is as strange, but valid.

# A segment register in each of the forms: as access rights of the VMCS, in struct kvm_segment, in SMRAM.
# segment WAY REGISTER SELECTOR BASE LIMIT RIGHTS
segment() {
	local rights=$6 present
	case $1 in
	vmcs*)
		put "vmcs_guest_$2_selector" "$3"
		put "vmcs_guest_$2_base" "$4"
		put "vmcs_guest_$2_limit" "$5"
		put "vmcs_guest_$2_ar_bytes" "$rights"
		;;
	sregs)
		present=$((rights >> 7 & 1))
		poke "sregs_$2" "$(little_endian "$4" 8)$(little_endian "$5" 4)$(little_endian "$3" 2)$(
			printf '%02x' $((rights & 15)) $present $((rights >> 5 & 3)) $((rights >> 14 & 1)) \
				$((rights >> 4 & 1)) $((rights >> 13 & 1)) $((rights >> 15 & 1)) \
				$((rights >> 12 & 1)) $((rights >> 16 & 1)))"
		;;
	rsm)
		put "smram_$2_selector" "$3"
		put "smram_$2_base" "$4"
		put "smram_$2_limit" "$5"
		put "smram_$2_attributes" $((rights & 0xf0ff & ~(rights >> 9 & 0x80)))
		;;
	esac
}

nested_state_first() {
	restore_order CPUID2,MSRS,NESTED_STATE,SREGS2,REGS,XSAVE,VCPU_EVENTS,MP_STATE,DEBUGREGS
}

# What comes of state that KVM minds, by the way in: pending and RSM have nested_run_pending set.
emulated() {
	case $way in
	vmcs-pending | rsm) echo "run-error EIO" ;;
	*) echo triple-fault-to-l1 ;;
	esac
}

# try_segment NAME WHO REGISTER SELECTOR BASE LIMIT RIGHTS [UNRESTRICTED]: WHO minds it, kvm, cpu or nobody;
# UNRESTRICTED: the same where L1 uses unrestricted guest, whose state KVM does not judge; bochs: left out
# then, because Bochs compares the DPL of CS with the RPL of CS where the SDM says the DPL of SS.
try_segment() {
	local who=$2
	[ "$urg" = no ] || who=${8:-$2}
	[ "$who" != bochs ] || return 0
	[ "$urg" = no ] || [ "$who" != kvm ] || who=cpu
	case $who in
	kvm) start_case "000-$way-$1" "$(emulated)" ;;
	cpu) start_case "000-$way-$1" vmentry-exit-33 ;;
	nobody) start_case "000-$way-$1" resumes ;;
	*) start_case "000-$way-$1" "$who" ;;
	esac
	[ "$way" != sregs ] || nested_state_first
	segment "$way" "$3" "$4" "$5" "$6" "$7"
	[ "$who" != kvm ] || [ "$(emulated)" != "run-error EIO" ] || warns
}

flat=0xffffffff

# Of a 64-bit L2 in ring 0 with flat segments; nothing but the one register is changed.
some_segments() {
	try_segment cs-conforming nobody cs 8 0 $flat 0xa09f
	try_segment cs-dpl kvm cs 8 0 $flat 0xa0fb
	try_segment cs-rpl kvm cs 11 0 $flat 0xa09b bochs
	try_segment ss-expand-down nobody ss 16 0 $flat 0xc097
	try_segment ss-rpl kvm ss 19 0 $flat 0xc0f3 bochs
	try_segment ds-conforming-rpl nobody ds 19 0 $flat 0xc09f
	try_segment ds-rpl kvm ds 19 0 $flat 0xc093 nobody
	try_segment ds-not-accessed cpu ds 16 0 $flat 0xc092
	try_segment fs-usable nobody fs 19 0 $flat 0xc0f3
	try_segment fs-system kvm fs 16 0 $flat 0xc083
	try_segment tr-other-selector nobody tr 32 $((0x4100)) 103 0x8b
	try_segment tr-available kvm tr 24 $((0x4100)) 103 0x89
	try_segment ldtr-usable nobody ldtr 32 0 255 0x82
	try_segment ldtr-type kvm ldtr 32 0 255 0x81
}

more_segments() {
	try_segment cs-execute-only nobody cs 8 0 $flat 0xa099
	try_segment cs-unusable kvm cs 8 0 $flat 0x1a09b nobody
	try_segment cs-not-accessed kvm cs 8 0 $flat 0xa09a
	try_segment cs-system kvm cs 8 0 $flat 0xa08b
	try_segment cs-conforming-dpl kvm cs 8 0 $flat 0xa0ff
	try_segment cs-long-and-wide cpu cs 8 0 $flat 0xe09b
	# The P bit: KVM takes it for "usable", the processor does not.
	try_segment cs-not-present cpu cs 8 0 $flat 0xa01b
	try_segment cs-reserved cpu cs 8 0 $flat 0xa19b
	try_segment ss-unusable nobody ss 16 0 $flat 0x1c093
	try_segment ss-read-only kvm ss 16 0 $flat 0xc091
	try_segment ss-system kvm ss 16 0 $flat 0xc083
	try_segment ss-dpl kvm ss 16 0 $flat 0xc0f3 bochs
	try_segment ds-other-selector nobody ds 32 0 $flat 0xc093
	try_segment ds-system kvm ds 16 0 $flat 0xc083
	try_segment es-system kvm es 16 0 $flat 0xc083
	try_segment gs-rpl kvm gs 19 0 $flat 0xc093 nobody
	try_segment tr-16-bit cpu tr 24 $((0x4100)) 103 0x83
	try_segment tr-unusable kvm tr 24 $((0x4100)) 103 0x1008b
	try_segment tr-ti kvm tr 28 $((0x4100)) 103 0x8b
	try_segment ldtr-ti kvm ldtr 36 0 255 0x82
}

urg=no
on "long-$ept"
way=vmcs
some_segments
[ "$host" != ept1 ] || more_segments
way=sregs
some_segments
# In struct kvm_segment it is KVM itself that makes "unusable" of it.
try_segment cs-not-present kvm cs 8 0 $flat 0xa01b
on "smm-l2-long-$ept"
way=rsm
some_segments
if [ "$host" != ug0 ]; then
	on "long-$ept-pending"
	way=vmcs-pending
	some_segments
fi
if [ "$host" = ept1 ]; then
	on fullcontrols-long-ept
	way=vmcs urg=yes
	some_segments
	more_segments
fi
