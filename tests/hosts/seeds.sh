#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seeds.sh OUTDIR [KERNEL WORDS]: the kernel threads that the project grew from, as named tests on real
# KVM: what each case of seeds/*/*.sh must do, and what it does on an emulated host, always: what is
# expected is what Debian's kernel does. A case that does otherwise fails. With "kvm_amd.npt=0" the
# dumps whose L1 uses nested paging are left out.
#
# VENDOR=intel: the same with VMX on kvm_intel in Bochs, in one boot and with the module's parameters as
# they come (OUTDIR/ept1), with unrestricted_guest=0 (ug0) and with ept=0 (ept0). HOSTS: only these of
# them; INTEL_HOST, a directory where intel.sh has started a host before, without debugfs=off.
#
# OUTDIR/seeds/VARIANT/NAME gets each case as a raw KVM dump with a file "expected": the outcome, with
# ioctl and errno. With BUILD in the environment, what BUILD/cmd/nestmig foretells of it is compared: any
# exit to L1 other than a failed entry or a shutdown is a vCPU that resumes, and so is one that is in L1 or
# SMM now and whose L1 executes a VMRUN later that fails.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 1 ] || fail "usage: seeds.sh OUTDIR [KERNEL WORDS]"
EMULATE=1
vendor=${VENDOR:-amd}

# What the cases change: NAME is "FILE OFFSET" or "FILE OFFSET WIDTH". Here struct kvm_vcpu_events.
declare -A places=(
	[event_exception]="vcpu0/vcpu_events 0" [event_flags]="vcpu0/vcpu_events 20"
	[event_nmi_masked]="vcpu0/vcpu_events 14" [event_triple_fault]="vcpu0/vcpu_events 28" [event_has_payload]="vcpu0/vcpu_events 55"
)

# ---- the language of seeds/*/*.sh ----

# on VARIANT: the dump that the next cases change
on() {
	case_file=$out/cases/$1.cases
	touch "$case_file"
}

# start_case NAME "OUTCOME WORDS # DETAIL=VALUE ...": what follows belongs to it
start_case() {
	printf 'case %s\nexpect %s\n' "$1" "$2" >>"$case_file"
}

# poke PLACE HEX
poke() {
	local file offset
	read -r file offset _ <<<"${places[$1]:-}"
	[ -n "$file" ] || fail "seeds name $1, which is no place"
	echo "poke $file $offset $2" >>"$case_file"
}

# put PLACE VALUE, in all of the place's width
put() {
	local width
	read -r _ _ width <<<"${places[$1]:-}"
	[ -n "$width" ] || fail "seeds put $2 into $1, which is no place with a width"
	poke "$1" "$(little_endian "$2" "$width")"
}

restore_order() {
	printf 'restore_order KVM_SET_%s\n' "${1//,/,KVM_SET_}" >>"$case_file"
}

# In QEMU's order: nested state before events.
in_qemu_order() {
	restore_order CPUID2,SREGS2,NESTED_STATE,REGS,XSAVE,MSRS,VCPU_EVENTS,MP_STATE,DEBUGREGS
}

# The kernel warns. In a case that does not say so it must not.
warns() {
	echo "# warns" >>"$case_file"
}

# names RULE TEXT: what nestmig says of the case has a finding of that rule, with that text.
names() {
	echo "# names $*" >>"$case_file"
}

# events INJECTED NR HAS_ERROR_CODE PENDING ERROR_CODE: struct kvm_vcpu_events.exception
events() {
	poke event_exception "$(printf '%02x%02x%02x%02x' "$1" "$2" "$3" "$4")$(little_endian "$5" 4)"
}

# payload VALUE
payload() {
	poke event_has_payload "01$(little_endian "$1" 8)"
}

# little_endian VALUE BYTES
little_endian() {
	local i text=
	for ((i = 0; i < $2; i++)); do
		text+=$(printf '%02x' $((($1 >> 8 * i) & 255)))
	done
	echo "$text"
}

write_cases() {
	local file
	for file in "$hosts/seeds/$vendor"/[0-9]*.sh; do
		# shellcheck source=/dev/null
		. "$file"
	done
}

# ---- the comparison ----

# Prints what differs of VARIANT; the details that are expected must be among those seen.
compare() {
	awk -v variant="$1" '
	function words(text) { sub(/ *#.*/, "", text); return text }
	function details(text) { return text ~ /#/ ? substr(text, index(text, "#") + 1) " " : "" }
	NR == FNR && $1 == "case" { name = $2; names[++count] = name; next }
	NR == FNR && $1 == "expect" { sub(/^expect /, ""); expected[name] = $0; next }
	NR == FNR && /^# warns/ { warns[name] = "WARN"; next }
	NR == FNR { next }
	/ warned=/ { warned[$1] = "WARN" }
	{ name = $1; sub(/^[^ ]* outcome /, ""); seen[name] = $0 }
	END {
		for (i = 1; i <= count; i++) {
			name = names[i]
			good = words(seen[name]) == words(expected[name]) && warns[name] == warned[name]
			n = split(details(expected[name]), wanted, " ")
			for (j = 1; j <= n; j++)
				good = good && index(details(seen[name]), " " wanted[j] " ")
			if (good) {
				print "ok " variant ": " name
				continue
			}
			print "FAILED " variant ": " name ": expected \"" expected[name] " " warns[name] \
				"\", seen \"" seen[name] "\""
		}
	}' "$out/cases/$1.cases" "$out/$1.seen"
}

# The dumps that nestmig is to foretell, for whoever compares; no KVM is needed for that.
write_dumps() {
	local name word text
	mkdir -p "$out/seeds/$1"
	"$RAWDUMP" apply "$out/bases/$1" "$out/cases/$1.cases" "$out/seeds/$1" || return
	awk '$1 == "case" { name = $2 }
		$1 == "expect" { sub(/^expect /, ""); sub(/ *#.*/, ""); print name, "expected", $0 }
		/^# names/ { sub(/^# names /, ""); print name, "names", $0 }' "$out/cases/$1.cases" |
		while read -r name word text; do
			echo "$text" >>"$out/seeds/$1/$name/$word"
		done
}

# What nestmig foretells of the dumps of VARIANT.
foretell() {
	local dump expected names
	for dump in "$out/seeds/$1"/*/; do
		expected=$(<"$dump/expected")
		names=$(cat "$dump/names" 2>/dev/null)
		"$BUILD/cmd/nestmig" validate --json "$dump" |
			jq -r --arg expected "$expected" --arg names "$names" \
				--arg name "$1: $(basename "$dump")" -f "$hosts/seeds/foretold.jq"
	done
}

# ---- the hosts ----

words_of() {
	case $1 in
	ug0) echo "kvm_intel.unrestricted_guest=0" ;;
	ept0) echo "kvm_intel.ept=0" ;;
	esac
}

# What the role says of cases goes into $out/VARIANT.seen.
take_seen() {
	local line
	while read -r line; do
		case $line in
		*"seen "*" outcome "*)
			line=${line#*seen }
			echo "${line#* }" >>"$out/${line%% *}.seen"
			;;
		*) echo "$line" ;;
		esac
	done
}

# run_host HOST OUTDIR WORDS: OUTDIR/result gets a line a case. Case files may ask for $host, and for $ept,
# which is what dumps on Intel are called there.
run_host() {
	local host=$1 ept=ept file variant
	[ "$host" != ept0 ] || ept=noept
	out=$2
	mkdir -p "$out/cases" "$out/bases"
	write_cases
	run_role seeds.sh "$out" "$3" "CASES=$out/cases" | take_seen
	[ "${PIPESTATUS[0]}" = 0 ] || echo "FAILED $host: the host" >"$out/trouble"
	for file in "$out"/cases/*.cases; do
		variant=$(basename "$file" .cases)
		if ! [ -e "$out/$variant.seen" ]; then
			[ "$vendor" = amd ] || echo "FAILED $variant: no such dump was made"
			continue
		fi
		compare "$variant"
		write_dumps "$variant" || echo "FAILED $variant: cannot write the dumps"
		[ -z "${BUILD:-}" ] || foretell "$variant"
	done >"$out/result"
	cat "$out/trouble" >>"$out/result" 2>/dev/null
}

run_intel_hosts() {
	local name
	if [ -n "$booted" ]; then
		trap '"$hosts/intel.sh" stop "$INTEL_HOST"; stop_roles' EXIT
		"$hosts/intel.sh" start "$INTEL_HOST" || fail "cannot boot the emulated Intel host"
	fi
	for name in ${HOSTS:-ept1 ug0 ept0}; do
		run_host "$name" "$top/$name" "$(words_of "$name")"
		sed "s/^[^ ]* /&$name: /" "$top/$name/result"
	done >"$top/result"
}

rm -rf "$1"
mkdir -p "$1"
top=$(realpath "$1")
booted=''
if [ "$vendor" = intel ] && [ -z "${INTEL_HOST:-}" ]; then
	INTEL_HOST=$top/host booted=yes
fi
build_guest
# shellcheck source=/dev/null
. "$hosts/seeds/$vendor/places.sh"
if [ "$vendor" = intel ]; then
	TIME_LIMIT=1800
	run_intel_hosts
else
	run_host amd "$top" "${2:-}"
fi
grep '^FAILED' "$top/result"
passed=$(grep -c '^ok' "$top/result")
failed=$(grep -c '^FAILED' "$top/result")
foretold=$(grep -c '^foretold' "$top/result")
echo "seeds: $passed cases as expected, $foretold foretold, $failed not"
[ -z "${BUILD:-}" ] || [ "$foretold" = "$passed" ] || failed=1
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
