# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # host is set by seeds.sh
#
# Seed 003: exceptions that KVM_SET_VCPU_EVENTS puts into a vCPU in guest mode. Pending ones become VM
# exits if L1's exception bitmap, and for #PF its error-code mask and match, say so: the exit qualification
# is the payload, or CR2 or DR6, and L2's CR2 and DR6 stay. Injected ones go to L2 whatever L1 wants.

intercept_exceptions() {
	put vmcs_exception_bitmap "$1"
}

ud=6 df=8 gp=13 pf=14 db=1
quiet_dr6=0xffff0ff0

# What comes of a pending exception. With a run pending KVM enters L2 and leaves it at once, to inject
# the exception then, and forgets it on the way (__vmx_complete_interrupts clears the queue).
pending() {
	case $variant in
	*-pending) start_case "$1" "resumes # exceptions=0" ;;
	*) start_case "$1" "$2" ;;
	esac
}

# page_fault ERROR_CODE MASK MATCH
page_fault() {
	intercept_exceptions "$4"
	put vmcs_page_fault_error_code_mask "$2"
	put vmcs_page_fault_error_code_match "$3"
	events 0 $pf 1 1 "$1"
}

exception_cases() {
	# To L2, which does not care where it comes from
	start_case 003-injected-ud "resumes # exceptions=1 vector=6"
	events 1 $ud 0 0 0
	start_case 003-injected-ud-intercepted "resumes # exceptions=1 vector=6"
	intercept_exceptions $((1 << ud))
	events 1 $ud 0 0 0
	start_case 003-injected-pf-intercepted "resumes # exceptions=1 vector=14 cr2=0x0"
	intercept_exceptions $((1 << pf))
	events 1 $pf 1 0 2
	pending 003-pending-ud "resumes # exceptions=1 vector=6"
	events 0 $ud 0 1 0
	pending 003-pending-gp "resumes # exceptions=1 vector=13"
	events 0 $gp 1 1 0
	pending 003-pending-pf "resumes # exceptions=1 vector=14 cr2=0x0"
	events 0 $pf 1 1 2
	pending 003-pending-pf-payload "resumes # exceptions=1 vector=14 cr2=0x123456000"
	events 0 $pf 1 1 2
	payload 0x123456000
	pending 003-pending-db "resumes # exceptions=1 vector=1 dr6=$quiet_dr6"
	events 0 $db 0 1 0
	pending 003-pending-db-payload "resumes # exceptions=1 vector=1 dr6=0xffff4ff1"
	events 0 $db 0 1 0
	payload 0x4001

	# To L1
	pending 003-pending-ud-intercepted "l1-exit 0 # intr=0x80000306 exceptions=0"
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	# In this order NMIs are masked in L2, as the events say, and bit 12 tells.
	pending 003-pending-ud-intercepted-events-last "l1-exit 0 # intr=0x80001306 exceptions=0"
	restore_order CPUID2,MSRS,SREGS2,NESTED_STATE,REGS,XSAVE,MP_STATE,DEBUGREGS,VCPU_EVENTS
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	poke event_nmi_masked 01
	pending 003-pending-gp-intercepted "l1-exit 0 # intr=0x80000b0d exceptions=0"
	intercept_exceptions $((1 << gp))
	events 0 $gp 1 1 0x18
	# Without a payload the qualification is CR2 as it was.
	pending 003-pending-pf-intercepted "l1-exit 0 # intr=0x80000b0e qualification=0x0 exceptions=0"
	intercept_exceptions $((1 << pf))
	events 0 $pf 1 1 2
	pending 003-pending-pf-payload-intercepted \
		"l1-exit 0 # intr=0x80000b0e qualification=0x123456000 exceptions=0"
	intercept_exceptions $((1 << pf))
	events 0 $pf 1 1 2
	payload 0x123456000
	pending 003-pending-db-intercepted "l1-exit 0 # intr=0x80000301 qualification=0x0 exceptions=0"
	intercept_exceptions $((1 << db))
	events 0 $db 0 1 0
	pending 003-pending-db-payload-intercepted \
		"l1-exit 0 # intr=0x80000301 qualification=0x4001 exceptions=0"
	intercept_exceptions $((1 << db))
	events 0 $db 0 1 0
	payload 0x4001
	pending 003-pending-df-intercepted "l1-exit 0 # intr=0x80000b08 exceptions=0"
	intercept_exceptions $((1 << df))
	events 0 $df 1 1 0
	pending 003-pending-other-intercepted "resumes # exceptions=1 vector=6"
	intercept_exceptions $((1 << gp))
	events 0 $ud 0 1 0
	# Both: with the flag for payloads, pending hides injected.
	pending 003-both-intercepted "l1-exit 0 # exceptions=0"
	intercept_exceptions $((1 << ud))
	events 1 $ud 0 1 0

	# #PF goes to L1 if (error code & mask) == match is what bit 14 of the bitmap says.
	pending 003-pf-matches "l1-exit 0 # intr=0x80000b0e"
	page_fault 2 2 2 $((1 << pf))
	pending 003-pf-does-not-match "resumes # exceptions=1 vector=14"
	page_fault 0 2 2 $((1 << pf))
	pending 003-pf-matches-clear "resumes # exceptions=1 vector=14"
	page_fault 2 2 2 0
	pending 003-pf-does-not-match-clear "l1-exit 0 # intr=0x80000b0e"
	page_fault 0 2 2 0

	# Refused
	start_case 003-pending-nmi "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	events 0 2 0 1 0
	start_case 003-pending-32 "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	events 0 32 0 1 0

	# With a run pending it is the WARN of seed 002, and the end of the VM.
	case $variant in
	*-pending)
		start_case 003-triple-fault "run-error EIO # counts=0"
		warns
		;;
	*) start_case 003-triple-fault "triple-fault-to-l1 # counts=0" ;;
	esac
	poke event_triple_fault 01
}

# With seed 000: state that KVM cannot run and an exception on its way are too much for it (vmx_vcpu_pre_run).
both_seeds() {
	start_case 003-000-injected-ud "internal-error # suberror=1"
	put vmcs_guest_ss_ar_bytes 0xc0f3
	events 1 $ud 0 0 0
	start_case 003-000-pending-ud "internal-error # suberror=1"
	put vmcs_guest_ss_ar_bytes 0xc0f3
	events 0 $ud 0 1 0
	start_case 003-000-pending-ud-intercepted "internal-error # suberror=1"
	put vmcs_guest_ss_ar_bytes 0xc0f3
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	start_case 003-000-triple-fault "internal-error # suberror=1"
	put vmcs_guest_ss_ar_bytes 0xc0f3
	poke event_triple_fault 01
}

case $host in
ept1) variants="long-ept long-ept-pending" ;;
ug0) variants='' ;;
ept0) variants="long-noept" ;;
esac
for variant in $variants; do
	on "$variant"
	exception_cases
	both_seeds
done

# A VMM that knows no payloads: what is pending is dropped, what is injected is not.
if [ "$host" = ept1 ]; then
	on long-ept-nocaps
	start_case 003-nocaps-pending-intercepted "resumes # exceptions=0"
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	start_case 003-nocaps-injected-intercepted "resumes # exceptions=1 vector=6"
	intercept_exceptions $((1 << ud))
	events 1 $ud 0 0 0
	start_case 003-nocaps-flag-payload "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	poke event_flags 1d
	start_case 003-nocaps-flag-triple-fault "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	poke event_flags 2d
fi
