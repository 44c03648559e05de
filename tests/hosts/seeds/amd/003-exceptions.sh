# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Seed 003: exceptions that KVM_SET_VCPU_EVENTS puts into a vCPU in guest mode. Pending ones become
# exits to L1 if it intercepts them, with DR6 and CR2 left alone or given as exit information; injected
# ones go to L2 whatever L1 intercepts. L2's handlers say what came (vector=, dr6=, cr2=).

intercept_exceptions() {
	poke ctl_intercept_exceptions "$(little_endian "$1" 4)"
}

ud=6 df=8 gp=13 pf=14 db=1
quiet_dr6=0xffff0ff0

# What comes of a pending exception. With a run pending KVM enters L2 and leaves it at once, to
# inject the exception then, and forgets it on the way (svm_complete_interrupts clears the queue).
pending() {
	case $variant in
	*-pending) start_case "$1" "resumes # exceptions=0" ;;
	*) start_case "$1" "$2" ;;
	esac
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
	pending 003-pending-ud-intercepted "l1-exit 0x46 # gif=0 exceptions=0 intinfo=0x0"
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	pending 003-pending-ud-intercepted-qemu-order "l1-exit 0x46 # gif=0 exceptions=0 intinfo=0x0"
	in_qemu_order
	intercept_exceptions $((1 << ud))
	events 0 $ud 0 1 0
	pending 003-pending-gp-intercepted "l1-exit 0x4d # info1=0x18 exceptions=0"
	intercept_exceptions $((1 << gp))
	events 0 $gp 1 1 0x18
	# Without a payload exit information 2 is CR2 as it was.
	pending 003-pending-pf-intercepted "l1-exit 0x4e # info1=0x2 info2=0x0 exceptions=0"
	intercept_exceptions $((1 << pf))
	events 0 $pf 1 1 2
	pending 003-pending-pf-payload-intercepted \
		"l1-exit 0x4e # info1=0x2 info2=0x123456000 l2cr2=0x0 exceptions=0"
	intercept_exceptions $((1 << pf))
	events 0 $pf 1 1 2
	payload 0x123456000
	pending 003-pending-db-intercepted "l1-exit 0x41 # l2dr6=$quiet_dr6 exceptions=0"
	intercept_exceptions $((1 << db))
	events 0 $db 0 1 0
	pending 003-pending-db-payload-intercepted "l1-exit 0x41 # l2dr6=0xffff4ff1 exceptions=0"
	intercept_exceptions $((1 << db))
	events 0 $db 0 1 0
	payload 0x4001
	pending 003-pending-df-intercepted "l1-exit 0x48 # exceptions=0"
	intercept_exceptions $((1 << df))
	events 0 $df 1 1 0
	pending 003-pending-other-intercepted "resumes # exceptions=1 vector=6"
	intercept_exceptions $((1 << gp))
	events 0 $ud 0 1 0
	# Both: with the flag for payloads, pending hides injected.
	pending 003-both-intercepted "l1-exit 0x46 # exceptions=0"
	intercept_exceptions $((1 << ud))
	events 1 $ud 0 1 0

	# Refused
	start_case 003-pending-nmi "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	events 0 2 0 1 0
	start_case 003-pending-32 "ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	events 0 32 0 1 0

	# With a run pending it is the WARN of seed 002.
	start_case 003-triple-fault "triple-fault-to-l1 # counts=0"
	poke event_triple_fault 01
	case $variant in
	*-pending) warns ;;
	esac
}

for variant in long-nonp long-np long-nonp-pending long-np-pending; do
	on $variant
	exception_cases
done

for variant in long-nonp-noshutdown long-np-noshutdown; do
	on $variant
	start_case 003-triple-fault-not-intercepted "shutdown # counts=0"
	poke event_triple_fault 01
done

# A VMM that knows no payloads: what is pending is dropped, what is injected is not.
for variant in long-nonp-nocaps long-np-nocaps; do
	on $variant
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
done
