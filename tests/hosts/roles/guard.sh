#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guard on this machine's KVM. Environment: GUARDRUN, GUARDVMM, RAWDUMP, OUT, CYCLES (how often it is attached
# and detached), TESTS (which of the functions test_NAME).
set -u

# shellcheck source=guarding.sh
. "$(dirname "${BASH_SOURCE[0]}")/guarding.sh"

mkdir -p /tmp/guard && cd /tmp/guard || exit 2

# under MODE NAME COMMAND...: events to $OUT/NAME.events, output to $OUT/NAME.out
under() {
	local mode=$1 name=$2
	shift 2
	"$GUARDRUN" "--$mode" "$OUT/$name.events" "$@" >"$OUT/$name.out" 2>&1
}

write_cases() {
	cat >long.cases <<-'EOF'
		case good
		case asid-0
		poke vcpu0/nested_state 216 00000000
		case cs-l-and-d
		poke vcpu0/sregs2 17 01
	EOF
	# An SMI that waits, struct kvm_vcpu_events.
	cat >smi.cases <<-'EOF'
		case smi-good
		poke vcpu0/vcpu_events 25 01
		case smi-cs-l-and-d
		poke vcpu0/vcpu_events 25 01
		poke vcpu0/sregs2 17 01
	EOF
	# The VMCB12 of L1, which it runs: see rawdump.h
	cat >l1.cases <<-'EOF'
		case good
		case asid-0
		poke mem/0 20568 00000000
	EOF
	cat >smm.cases <<-'EOF'
		case good
		case cr0-nw-without-cd
		poke mem/0 261976 330001a0
	EOF
}

save_bases() {
	local variant
	mkdir -p bases
	"$RAWDUMP" variants >variants
	while read -r variant; do
		"$RAWDUMP" save "$variant" "bases/$variant" || bad "no $variant"
	done <variants
}

run_genuine() {
	local variant
	while read -r variant; do
		"$RAWDUMP" run "bases/$variant" | grep -qx "outcome resumes" || echo "$variant does not resume"
	done <variants
}

test_genuine() {
	export -f run_genuine
	under enforce genuine bash -c run_genuine
	expect "every genuine state resumes under the guard" [ ! -s "$OUT/genuine.out" ]
	expect "none of them is denied" [ "$(counter "$OUT/genuine.events" denials)" = 0 ]
	expect "all of them are judged" [ "$(counter "$OUT/genuine.events" judged)" -ge 30 ]
	expect "nothing is told of them" [ "$(grep -c '^event' "$OUT/genuine.events")" = 0 ]
}

# Then KVM leaves L2 active when RSM fails, and the triple fault is L1's.
is_older_than_6_12() {
	[ "$(printf '%s\n' 6.12 "$(uname -r)" | sort -V | head -n 1)" != 6.12 ]
}

run_cases() {
	"$RAWDUMP" batch bases/long-np long.cases 1
	"$RAWDUMP" batch bases/l1-long-np l1.cases 1
	"$RAWDUMP" batch bases/smm-l2-long-np smm.cases 1
	"$RAWDUMP" batch bases/long-np smi.cases 1
}

test_cases() {
	local events=$OUT/enforce.events out=$OUT/enforce.out
	export -f run_cases
	under audit audit bash -c run_cases
	expect "audit: L2 with L and D gets VMEXIT_INVALID, as without the guard" \
		says "$OUT/audit.out" "cs-l-and-d outcome svm-exit-err"
	expect "audit: it is told" has "$OUT/audit.events" hook=kvm-run action=told rule=svm-l2-csld
	expect "audit: an SMI comes to a good L2, which goes on" says "$OUT/audit.out" "smi-good outcome resumes.* smis=1"
	expect "audit: the image of another is told when the SMI makes it" \
		has "$OUT/audit.events" hook=smm-entered action=told rule=smm-long-csld
	expect "audit: and that of no other" [ "$(grep -c hook=smm-entered "$OUT/audit.events")" = 1 ]
	expect "audit: all of them are judged" [ "$(counter "$OUT/audit.events" smm-entries)" -ge 2 ]
	expect "audit: nothing is denied" [ "$(counter "$OUT/audit.events" denials)" = 0 ]
	under enforce enforce bash -c run_cases
	expect "a good state resumes" says "$out" "good outcome resumes"
	expect "ASID 0 is refused" says "$out" "asid-0 outcome ioctl-rejected KVM_SET_NESTED_STATE EINVAL"
	expect "by the guard" has "$events" hook=set-nested-state action=denied rule=svm-ctl-asid-zero
	expect "KVM_RUN of L2 with L and D fails" says "$out" "cs-l-and-d outcome run-error EINVAL"
	expect "because of its rule" has "$events" hook=kvm-run action=denied rule=svm-l2-csld
	expect "L1's own VMRUN with ASID 0 is told" \
		has "$events" hook=entry-failed action=told rule=svm-ctl-asid-zero
	expect "and fails as it does without the guard" says "$out" "asid-0 outcome svm-exit-err"
	expect "a RSM of bad SMRAM is told" has "$events" hook=smm-left action=told rule=smm-cr0-nw-cd
	if is_older_than_6_12; then
		expect "and that it fails with an entry pending, for that reason" \
			has "$events" hook=smm-left flags=0xe1 rule=smm-cr0-nw-cd
		expect "and is not denied" says "$out" "cr0-nw-without-cd outcome triple-fault-to-l1"
		expect "the SHUTDOWN that L1 gets is told, for that reason" \
			has "$events" hook=nested-exit exit=0x7f rule=smm-cr0-nw-cd
	else
		expect "and that it fails, for that reason" has "$events" hook=smm-left flags=0xc0 rule=smm-cr0-nw-cd
		expect "and is not denied" says "$out" "cr0-nw-without-cd outcome shutdown"
	fi
	expect "exits that the processor makes are no advisory" \
		has "$OUT/audit.events" hook=nested-exit flags=0 exit=0xffffffff
}

vmm_tests="stuffed refused changed missed events plain msrs rsm"

# run_vmms TEST...
run_vmms() {
	local test base
	for test; do
		case $test in
		msrs) base=legacy-np ;;
		rsm) base=smm-l2-long-np ;;
		*) base=long-np ;;
		esac
		timeout 60 "$GUARDVMM" "$test" bases/$base
	done
}

test_vmm() {
	local test events=$OUT/vmm.events
	export -f run_vmms
	export GUARDVMM
	under enforce vmm bash -c "run_vmms $vmm_tests"
	for test in $vmm_tests; do
		expect "a VMM: $test" says "$OUT/vmm.out" "ok $test"
	done
	grep FAILED "$OUT/vmm.out"
	expect "EFER is denied because of its rule" has "$events" hook=kvm-run action=denied rule=svm-l2-lma
	expect "what RSM has loaded is told" has "$events" hook=kvm-run action=told rule=svm-l2-csld
	expect "what changed between the copies is told as such" has "$events" hook=kvm-run flags=0x[0-9a-f]*003
	expect "and counted" [ "$(counter "$events" races)" -ge 1 ]
	expect "nothing was left out" [ "$(counter "$events" no-scratch)$(counter "$events" no-entry)" = 00 ]
}

# What cannot be denied.
test_told() {
	local test
	export -f run_vmms
	export GUARDVMM
	under enforce told bash -c "run_vmms synced compat"
	under enforce overtaken bash -c "run_vmms overtaken"
	for test in synced compat overtaken; do
		expect "a VMM: $test" grep -qsx "ok $test" "$OUT/told.out" "$OUT/overtaken.out"
	done
	grep -h FAILED "$OUT/told.out" "$OUT/overtaken.out"
	expect "registers that KVM_RUN brings are told" \
		has "$OUT/told.events" hook=run-unjudged action=told rule=svm-l2-csld
	expect "and events" has "$OUT/told.events" hook=run-unjudged action=told rule=evt-exc-vector-defined
	expect "what a 32-bit program runs is told" \
		has "$OUT/told.events" hook=kvm-run action=told rule=svm-l2-csld
	expect "what overtakes the check is told" \
		has "$OUT/overtaken.events" hook=run-unjudged action=told rule=svm-l2-csld
}

test_cycles() {
	local before after
	before=$(awk '/^Slab/ { print $2 }' /proc/meminfo)
	"$GUARDRUN" --enforce --cycles "$CYCLES" "$OUT/cycles.events" true
	expect "attached and detached $CYCLES times" [ $? = 0 ]
	expect "nothing is left of them" nothing_is_left
	after=$(awk '/^Slab/ { print $2 }' /proc/meminfo)
	echo "kernel memory (slab): $before kB before, $after kB after"
	grep '^program' "$OUT/cycles.events"
}

# Detached and attached while VMs come and go.
test_load() {
	local vmm turn
	"$GUARDVMM" load bases/long-np 20 >"$OUT/load.out" 2>&1 &
	vmm=$!
	for turn in 1 2; do
		"$GUARDRUN" --enforce "$OUT/load$turn.events" sleep 2 || bad "cannot be attached under load"
	done
	wait $vmm
	expect "VMs run while it comes and goes" says "$OUT/load.out" "ok load"
	expect "it denies none of them" [ "$(counter "$OUT/load2.events" denials)" = 0 ]
	expect "nothing is left under load" nothing_is_left
}

# The program that pinned it is killed: the kernel's side goes on.
test_pinned() {
	"$GUARDRUN" --enforce --pin "$bpffs" "$OUT/pinned.events" sleep 1000 &
	local guard=$! tries
	for ((tries = 0; tries < 200; tries++)); do
		says "$OUT/pinned.events" "guard enforce" 2>/dev/null && break
		sleep 0.5
	done
	kill -9 $guard
	wait $guard 2>/dev/null
	"$RAWDUMP" batch bases/long-np long.cases 1 >"$OUT/pinned.out" 2>&1
	expect "pinned, it denies when its program is gone" \
		says "$OUT/pinned.out" "cs-l-and-d outcome run-error EINVAL"
	"$GUARDRUN" --remove "$bpffs"
	expect "it can be removed" [ ! -e "$bpffs" ]
	"$RAWDUMP" batch bases/long-np long.cases 1 >"$OUT/removed.out" 2>&1
	expect "and denies nothing any more" says "$OUT/removed.out" "cs-l-and-d outcome svm-exit-err"
	expect "nothing is left of what was pinned" nothing_is_left
}

export GUARDRUN RAWDUMP
save_bases
write_cases
for part in $TESTS; do
	"test_$part"
done
exit $((failures != 0))
