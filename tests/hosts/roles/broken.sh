# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Broken copies of a snapshot (to be sourced by destination.sh): is the prediction what KVM does?
#
# NESTMIG_POKE IN OUT FIELD VALUE writes a copy with one field changed.

# name, field, value, rule that must be named
BROKEN_VARIANTS='
cr0-nw-without-cd vcpu0.sregs.cr0 0xa0010033 svm-l2-cr0-cd-nw
cs-l-and-d vcpu0.sregs.cs.db 1 svm-l2-csld
'

# The words of the JSON report as one line, in the order in which observe says them.
predicted_outcome() {
	jq -r '.vcpus[0] | [.outcome, .ioctl, .errno,
		(if .returns then "returns \(.returns)" else null end)] | map(select(.)) | join(" ")' "$1"
}

# Of all ioctls that set state, the first that failed. One file a thread: no line is split in two.
# KVM_SET_SREGS2 makes the checks of KVM_SET_SREGS, and nestmig means both by the latter.
refused_ioctl() {
	grep -hv KVM_SET_TSC_KHZ "$1".[0-9]* 2>/dev/null |
		sed -n 's/SREGS2/SREGS/; s/^ioctl([0-9]*, \(KVM_SET_[A-Z0-9_]*\)[,)].* = -1 \(E[A-Z0-9]*\) .*/ioctl-rejected \1 \2/p' |
		head -n 1
}

# APM volume 2, appendix C: VMEXIT_INVALID is -1, VMEXIT_SHUTDOWN 7fh. The low half decides:
# not every CPU (and not every KVM) writes the high one.
l1_exit() {
	sed -n -e 's/^L1 cpu0 exit [0-9a-f]\{8\}ffffffff .*/svm-exit-err/p' \
		-e 's/^L1 cpu0 exit 000000000000007f .*/triple-fault-to-l1/p' \
		-e 's/^L1 cpu0 exit \([0-9a-f]\{16\}\) .*/l1-exit \1/p' "$1" | head -n 1
}

# observe DIR: what became of the vCPU, in nestmig's words.
observe() {
	local deadline=$((SECONDS + 25)) word last
	last=$(highest "$WORK/ship/after")
	while ((SECONDS < deadline)); do
		word=$(refused_ioctl "$1/strace")
		[ -n "$word" ] || word=$(l1_exit "$1/com1")
		if [ -z "$word" ]; then
			case $(vm_status) in
			shutdown) word=shutdown ;;
			internal-error) word=internal-error ;;
			esac
		fi
		[ -n "$word" ] || [ "$(last_count "$1/com1")" -le "$last" ] || word=resumes
		[ -z "$word" ] || break
		sleep 0.3
	done
	echo "${word:-nothing seen for 25 s}"
}

# restore without --force must refuse, and QEMU must not have heard of it.
check_refusal() {
	local status
	"$NESTMIG" restore "$1" --qmp "$2/qmp" >"$2/restore.txt" 2>&1
	status=$?
	[ $status -eq 1 ] ||
		fail "nestmig restore: exit status $status, not 1: $(tail -n 1 "$2/restore.txt")"
	if [ "$(vm_status)" != inmigrate ] || [ "$(qmp query-migrate | jq -c .return)" != '{}' ]; then
		fail "nestmig restore refused, but QEMU is $(vm_status)"
	fi
}

check_validate() {
	local status
	"$NESTMIG" validate "$1" --host "$WORK/host.json" --json >"$2/validate.json"
	status=$?
	[ $status -eq 1 ] || fail "nestmig validate: exit status $status, not 1"
	jq -e --arg rule "$3" 'any(.vcpus[0].findings[]; .rule == $rule)' "$2/validate.json" >/dev/null ||
		fail "nestmig validate names $(jq -c '[.vcpus[0].findings[].rule]' "$2/validate.json"), not $3"
}

try_broken_variant() {
	local name=$1 field=$2 value=$3 rule=$4 dir=$WORK/$1 predicted observed
	mkdir "$dir"
	"$NESTMIG_POKE" "$WORK/ship/guest.nms" "$dir/broken.nms" "$field" "$value" ||
		fail "cannot change $field in the snapshot"
	check_validate "$dir/broken.nms" "$dir" "$rule"
	predicted=$(predicted_outcome "$dir/validate.json")
	echo "$name: nestmig validate names $rule and foretells: $predicted"

	guest_wrapper="strace -ff -e trace=ioctl -o $dir/strace" start_guest "$dir" -incoming defer
	check_refusal "$dir/broken.nms" "$dir"
	echo "$name: nestmig restore refuses, QEMU has received nothing"
	"$NESTMIG" restore "$dir/broken.nms" --qmp "$dir/qmp" --force >"$dir/forced.txt" 2>&1
	observed=$(observe "$dir")
	echo "$name: restored by force, QEMU says $(vm_status), and KVM: $observed"
	stop_guest
	[ "$observed" = "$predicted" ] || fail "$name: foretold \"$predicted\", seen \"$observed\""
	echo "AS FORETOLD: $name: $observed"
}

try_broken_variants() {
	local name field value rule
	need strace
	while read -r name field value rule; do
		[ -z "$name" ] || try_broken_variant "$name" "$field" "$value" "$rule" </dev/null
	done <<<"$BROKEN_VARIANTS"
}
