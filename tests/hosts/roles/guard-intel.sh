#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guard on this host's kvm_intel, for busybox's sh. Environment: GUARD (a directory: nestmig-guardrun and nestmig with their libraries, guarding.sh),
# RAWDUMP, CASES, OUT, VARIANTS (the states to be tried; empty: all that this KVM can make), TESTS (which of the functions test_NAME).
set -u

# shellcheck source=guarding.sh
. "$GUARD/guarding.sh"

# under MODE NAME COMMAND...: events to $OUT/NAME.events, output to $OUT/NAME.out
under() {
	local mode=$1 name=$2
	shift 2
	echo "$name from $(cut -d' ' -f1 /proc/uptime) s"
	"$GUARD/ld-linux-x86-64.so.2" --library-path "$GUARD" "$GUARD/nestmig-guardrun" "--$mode" "$OUT/$name.events" \
		"$@" >"$OUT/$name.out" 2>&1
	echo "to $(cut -d' ' -f1 /proc/uptime) s"
}

save_bases() {
	mkdir -p bases
	for variant in ${VARIANTS:-$("$RAWDUMP" variants)}; do
		"$RAWDUMP" save "$variant" "bases/$variant" 2>errors || cat errors
	done
}

# What is run under the guard: guardrun runs a script.
write_scripts() {
	cat >run-cases <<-'END'
		echo "starts at $(cut -d' ' -f1 /proc/uptime) s"
		for file in $CASES/*.cases; do
			"$RAWDUMP" batch "bases/$(basename "$file" .cases)" "$file" 1
		done
	END
	cat >run-genuine <<-'END'
		for base in bases/*; do
			echo "$(basename "$base") $("$RAWDUMP" run "$base")"
		done
		echo "genuine: end"
		sleep 1
		cp "$OUT/enforce.events" "$OUT/genuine.events"
		. ./run-cases
	END
	chmod +x run-cases run-genuine
}

test_enforce() {
	local events=$OUT/enforce.events out=$OUT/enforce.out bad
	under enforce enforce sh ./run-genuine
	sed '/^genuine: end/,$d' "$out" >"$OUT/genuine.out"
	sed -i '1,/^genuine: end/d' "$out"
	bad=$(grep -v ' outcome resumes' "$OUT/genuine.out")
	expect "every genuine state resumes under the guard${bad:+: $bad}" [ -z "$bad" ]
	expect "nothing is told of them" [ "$(grep -c '^event' "$OUT/genuine.events")" = 0 ]
	expect "the base states of all cases are among them" [ "$(wc -l <"$OUT/genuine.out")" -ge 4 ]
	expect "a good state resumes" says "$out" "good outcome resumes"
	expect "reserved controls are refused" \
		says "$out" "pin-reserved outcome ioctl-rejected KVM_SET_NESTED_STATE EINVAL"
	expect "by the guard" has "$events" hook=set-nested-state action=denied rule=vmx-pin-allowed0
	expect "KVM_RUN fails of L2 with L and D in its VMCS12" says "$out" "cs-long-and-wide outcome run-error EINVAL"
	expect "KVM_RUN fails of an L2 that KVM would have to emulate" says "$out" "cs-dpl outcome run-error EINVAL"
	expect "special registers set in L2: good ones run" says "$out" "sregs-good outcome resumes"
	expect "KVM_RUN fails of stuffed ones" says "$out" "sregs-fs-system outcome run-error EINVAL"
	expect "because of a rule" has "$events" hook=kvm-run action=denied
	expect "an exception that L2 could have raised" says "$out" "events-ud outcome resumes"
	expect "one that there is not" \
		says "$out" "events-vector-32 outcome ioctl-rejected KVM_SET_VCPU_EVENTS EINVAL"
	expect "is denied" has "$events" hook=set-vcpu-events action=denied
	expect "a VMCS12 that L1 has yet to enter is L1's own matter" says "$out" "l1-pin-reserved outcome vmfail-7"
	expect "RSM is not denied" says "$out" "cr0-nw-without-cd outcome run-error EIO"
}

test_audit() {
	local events=$OUT/audit.events out=$OUT/audit.out
	under audit audit sh ./run-cases
	expect "audit: nothing is denied" [ "$(counter "$events" denials)" = 0 ]
	expect "stuffed L2 gets the triple fault that KVM makes up" says "$out" "sregs-fs-system outcome triple-fault-to-l1"
	expect "it is told before" has "$events" hook=kvm-run action=told
	expect "and when KVM makes it up, with its rule" has "$events" hook=nested-exit exit=0x2 rule=vmx-guest-fs-s
	expect "so it is where the VMCS12 brought it" has "$events" hook=nested-exit exit=0x2 rule=vmx-guest-cs-dpl-nonconf
	expect "and of a RSM that fails" has "$events" hook=nested-exit exit=0x2 rule=smm-cr0-nw-cd
	expect "an SMI comes to a good L2, which goes on" says "$out" "smi-good outcome resumes.* smis=1"
	expect "the image of another is told when the SMI makes it" \
		has "$events" hook=smm-entered action=told rule=smm-long-csld
	expect "and that of no other" [ "$(grep -c hook=smm-entered "$events")" = 1 ]
	expect "both are judged" [ "$(counter "$events" smm-entries)" -ge 2 ]
	expect "a failed VM entry is told" has "$events" hook=entry-failed exit=0x80000021 rule=vmx-guest-cs-d-l
	expect "L1's own VMLAUNCH with reserved controls is told" \
		has "$events" hook=entry-failed exit=0x7 rule=vmx-pin-allowed0
	expect "and fails as it does without the guard" says "$out" "l1-pin-reserved outcome vmfail-7"
	expect "a RSM of bad SMRAM is told" has "$events" hook=smm-left action=told rule=smm-cr0-nw-cd
	expect "VMFUNC with a reserved bit in the EPTP: exit 59" says "$out" "eptp-bit-7 outcome vmfunc-exit-59"
	expect "is told" has "$events" hook=eptp-switched exit=0x3b info1=0xe
	expect "VMFUNC to what is no RAM: a triple fault" says "$out" "eptp-not-ram outcome triple-fault-to-l1"
	expect "is told, and that it should be an EPT violation" \
		has "$events" hook=eptp-switched exit=0x2 info1=0x10000005e info2=0x30
}

# What nestmig says of such events.
test_texts() {
	local texts=$OUT/texts runner base
	"$GUARD/ld-linux-x86-64.so.2" --library-path "$GUARD" "$GUARD/nestmig" guard run >"$texts" 2>texts.err &
	runner=$!
	until grep -q '^nestmig guard: mode audit' texts.err; do
		kill -0 $runner || break
		sleep 1
	done
	for base in long-ept smm-l2-long-ept eptplist-long; do
		"$RAWDUMP" batch "bases/$base" "$CASES/$base.cases" 1 >/dev/null
	done
	sleep 1
	kill -TERM $runner
	wait $runner
	expect "nestmig guard run ends with 0" [ $? = 0 ]
	cat texts.err
	expect "text: an ioctl" grep -q \
		'would-deny rawdump (PID [0-9]*, thread [0-9]*), VM [0-9]*, vCPU 0 in L1: KVM_SET_NESTED_STATE would fail with EINVAL in mode enforce: vmx-pin-allowed0$' "$texts"
	expect "text: a failed entry" grep -q \
		'entry-failed rawdump .*: a VM entry of L1 fails with exit reason 33: vmx-guest-cs-d-l$' "$texts"
	expect "text: what L1 sees of it" grep -q '^  L1 sees exit_reason 0x80000021$' "$texts"
	expect "text: emulation" grep -q 'triple-fault rawdump .*: KVM ends L2 with a triple fault, as KVM would have to emulate L2, whose state is not valid: vmx-guest-fs-s$' "$texts"
	expect "text: an SMI" grep -q 'smi-broken rawdump .* in SMM: an SMI saves L2 in an image that breaks a rule: .*smm-long-csld' "$texts"
	expect "text: RSM" grep -q 'rsm-failed rawdump .* in SMM: RSM fails, with a VM entry pending: smm-cr0-nw-cd$' "$texts"
	expect "text: VMFUNC" grep -q 'vmfunc rawdump .*: VMFUNC of L2 to entry 14 fails, and L1 sees it$' "$texts"
	expect "text: what L1 sees of that" grep -q '^  L1 sees exit_reason 0x3b' "$texts"
}

export RAWDUMP CASES OUT GUARD
save_bases
write_scripts
for part in $TESTS; do
	"test_$part"
done
[ ! -e "$OUT/enforce.events" ] || grep -h '^program' "$OUT/enforce.events"
exit $((failures != 0))
