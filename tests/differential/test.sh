#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test.sh CASES NESTMIG: the maker of cases and the comparison, without KVM: the same seed gives the same
# cases, changes stay inside files, a case written out as a dump is judged like the case, and the comparison
# finds what it is there to find.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cases=$1 nestmig=$2 count=600 trouble=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bases" "$work/vmx"

# whole DUMP: all that is known of a base state is known of this one: its RAM is one extent, of which the
# fixture has some pages, and what its VMM enables.
whole() {
	local page
	truncate -s 256K "$1/mem/0"
	for page in "$1"/mem/?*0; do
		dd if="$page" of="$1/mem/0" bs=4096 seek=$((16#${page##*/} / 4096)) conv=notrunc status=none
		rm "$page"
	done
	jq '.memory_complete = true | .vm_caps = ["KVM_CAP_EXCEPTION_PAYLOAD", "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
		"KVM_CAP_SPLIT_IRQCHIP"]' "$1/meta.json" >"$work/meta.json" && mv "$work/meta.json" "$1/meta.json"
}

cp -r "$here/../cases/raw-dump" "$work/bases/raw"
whole "$work/bases/raw"
# Of VMX: L2, a VM entry that is pending, and L1 with the same VMCS12; the flags are the first two bytes.
for flags in vmx:1 vmx-pending:3 l1-vmx:0; do
	cp -r "$here/../cases/raw-dump-vmx" "$work/vmx/${flags%:*}"
	zstd -qd --rm "$work/vmx/${flags%:*}/mem/0.zst"
	printf '%b' "\\x${flags#*:}\\x0" |
		dd of="$work/vmx/${flags%:*}/vcpu0/nested_state" conv=notrunc status=none
done

complain() {
	echo "$*"
	trouble=1
}

# make OUTDIR [COUNT [SEED]]: of the bases below $bases
make() {
	"$cases" "$bases" "$work/$1" "${2:-$count}" "${3:-7}" || complain "cannot make cases"
}

# Every poke is inside its file, and bytes are whole.
check_pokes() {
	local file offset hex size
	while read -r _ file offset hex; do
		size=$(stat -c %s "$bases/$1/$file") || complain "no file $file"
		[ $((offset + ${#hex} / 2)) -le "$size" ] && [ $((${#hex} % 2)) = 0 ] ||
			complain "poke $file $offset $hex is not inside"
	done < <(grep '^poke' "$2")
}

# What nestmig says of a dump on disk is what was foretold: check_case VARIANT NAME FORETOLD
check_case() {
	local verdict outcome dir=$work/$1.$2
	"$cases" "$bases" - 0 7 --case "$1/$2" "$dir" >"$dir.line" || complain "cannot write case $1/$2"
	cmp -s "$dir.line" <(grep "^$2 " "$3") || complain "$1/$2 is another case"
	verdict=$(cut -d' ' -f2 "$dir.line")
	outcome=$(cut -d' ' -f3 "$dir.line")
	[[ $("$nestmig" validate --json "$dir") == *"\"verdict\":\"$verdict\",\"outcome\":\"$outcome\""* ]] ||
		complain "$1/$2 is foretold $verdict $outcome, but validate says otherwise"
}

bases=$work/bases
make one
make again
make longer 700
make other $count 8
cmp -s "$work/one/raw.cases" "$work/again/raw.cases" || complain "the same seed gives other cases"
cmp -s "$work/one/raw.foretold" "$work/again/raw.foretold" || complain "the same cases are judged otherwise"
cmp -s "$work/one/raw.foretold" <(head -n $count "$work/longer/raw.foretold") ||
	complain "more cases are other cases"
! cmp -s "$work/one/raw.cases" "$work/other/raw.cases" || complain "another seed gives the same cases"
[ "$(grep -c '^case' "$work/one/raw.cases")" = $count ] || complain "not $count cases"
[ "$(wc -l <"$work/one/raw.foretold")" = $count ] || complain "not $count lines"
! grep -q ' unreadable ' "$work/one/raw.foretold" || complain "a case is not readable"
check_pokes raw "$work/one/raw.cases"
for name in 00003 00017 00101 00300 00599; do
	check_case raw $name "$work/one/raw.foretold"
done

# The comparison: what agrees, and what does not.
"$cases" "$work/bases" - 0 0 --rules >"$work/all.rules" || complain "no list of rules"
mkdir -p "$work/npt1/cases" "$work/npt1/seen"
cp "$work/one/raw.foretold" "$work/npt1/cases/"
sed 's/^\([^ ]*\) .* | cpu: \([^|]*\) | cpu-follows: \([^ ]*\) .*/\1 outcome \2 # counts=7 \3/
	s/resumes # .* WAITS$/no-exit # why=asleep/' "$work/one/raw.foretold" >"$work/agree"

compare() {
	cp "$1" "$work/npt1/seen/raw.seen"
	(cd "$work" && awk -v limit=100 -v wrong=wrong -f "$here/compare.awk" all.rules npt1/cases/raw.foretold \
		npt1/seen/raw.seen) >"$work/result"
}

compare "$work/agree" || complain "what agrees does not: $(tail -n 1 "$work/result")"
tail -n 1 "$work/result" | grep -q ', 0 disagreements' || complain "the comparison counts what is not there"
head -n 1 "$work/agree" >"$work/few"
compare "$work/few" && complain "cases that were not tried are not missed"

# disagrees VERDICT OUTCOME SEEN: of a case of that kind, SEEN is a disagreement.
disagrees() {
	local name
	name=$(grep -m 1 "^[0-9]* $1 $2 .*${4:-}" "$work/one/raw.foretold" | cut -d' ' -f1)
	[ -n "$name" ] || complain "no case is foretold $1 $2 ${4:-}"
	sed "s/^$name .*/$name outcome $3/" "$work/agree" >"$work/changed"
	compare "$work/changed" && complain "$1 $2 with $3 passes"
	grep -q "^npt1/raw/$name: " "$work/wrong" || complain "$1 $2 with $3 is not shown"
}

disagrees ok resumes "svm-exit-err"
disagrees ok resumes "ioctl-rejected KVM_SET_SREGS2 EINVAL"
disagrees ok resumes "internal-error"
disagrees ok resumes "process-died"
disagrees ok resumes "shutdown # counts=9" "user: nobody"
disagrees ok resumes "shutdown # counts=0" "user: l1"
disagrees fail ioctl-rejected "resumes"
disagrees fail ioctl-rejected "ioctl-rejected KVM_SET_SREGS2 EPERM"
disagrees fail svm-exit-err "shutdown" "user: [a-z]*\( first\)\? |"

# ---- VMX -----------------------------------------------------------------------------------------

bases=$work/vmx
make vmx1 1800
make vmx2 1800
for variant in vmx vmx-pending l1-vmx; do
	cmp -s "$work/vmx1/$variant.cases" "$work/vmx2/$variant.cases" || complain "$variant: other cases"
	! grep -q ' unreadable ' "$work/vmx1/$variant.foretold" || complain "$variant: a case is not readable"
	check_pokes $variant "$work/vmx1/$variant.cases"
	check_case $variant 00007 "$work/vmx1/$variant.foretold"
	check_case $variant 00500 "$work/vmx1/$variant.foretold"
done
# Most rules on VMX have a chance to be broken: a list of places that has come to nothing would show.
"$cases" "$bases" - 0 0 --rules >"$work/all.rules" || complain "no list of rules of VMX"
grep -v '^reason ' "$work/all.rules" | grep '^vmx-' | sort >"$work/vmx.rules"
sed 's/.* | rules: \([^|]*\) | also: \([^|]*\) |.*/\1 \2/' "$work"/vmx1/*.foretold | tr ' ' '\n' | sort -u |
	comm -12 - "$work/vmx.rules" >"$work/broken.rules"
[ $(($(wc -l <"$work/broken.rules") * 10)) -gt $(($(wc -l <"$work/vmx.rules") * 8)) ] ||
	complain "only $(wc -l <"$work/broken.rules") of $(wc -l <"$work/vmx.rules") rules on VMX are ever broken"

# What agrees: as foretold, or what L1's next entry meets.
mkdir -p "$work/ept1/cases" "$work/ept1/seen"
cp "$work/vmx1/l1-vmx.foretold" "$work/vmx1/vmx.foretold" "$work/ept1/cases/"
for variant in vmx l1-vmx; do
	sed 's/^\([^ ]*\) [a-z]* resumes | follows: ACCEPTED .* | cpu-next: \([a-z][^|]*\) | .*/\1 outcome \2 # counts=7/
		s/^\([^ ]*\) .* | cpu: \([^|]*\) | cpu-follows: \([^ ]*\) .*/\1 outcome \2 # counts=7 \3/
		s/ returns # / returns 2 # /
		s/vmfail-7 # .* LATE_VMFAIL_7/& cc="hardware VM-instruction error: X"/
		s/resumes # .* WAITS$/no-exit # why=asleep/' "$work/vmx1/$variant.foretold" >"$work/agree.$variant"
done

compare_vmx() {
	cp "$work/agree.vmx" "$work/ept1/seen/vmx.seen"
	cp "$1" "$work/ept1/seen/l1-vmx.seen"
	(cd "$work" && awk -v limit=100 -v wrong=wrong -f "$here/compare.awk" all.rules ept1/cases/*.foretold \
		ept1/seen/*.seen) >"$work/result"
}

compare_vmx "$work/agree.l1-vmx" || complain "of VMX what agrees does not: $(tail -n 1 "$work/result")"

# disagrees_vmx PATTERN SEEN: of the first case of L1 whose line fits, SEEN is a disagreement.
disagrees_vmx() {
	local name
	name=$(grep -m 1 "$1" "$work/vmx1/l1-vmx.foretold" | cut -d' ' -f1)
	[ -n "$name" ] || complain "no case is foretold $1"
	sed "s/^$name .*/$name outcome $2/" "$work/agree.l1-vmx" >"$work/changed"
	compare_vmx "$work/changed" && complain "$1 with $2 passes"
	grep -q "^ept1/l1-vmx/$name: " "$work/wrong" || complain "$1 with $2 is not shown"
}

agrees_vmx() {
	local name
	name=$(grep -m 1 "$1" "$work/vmx1/l1-vmx.foretold" | cut -d' ' -f1)
	[ -n "$name" ] || complain "no case is foretold $1"
	sed "s/^$name .*/$name outcome $2/" "$work/agree.l1-vmx" >"$work/changed"
	compare_vmx "$work/changed" || complain "$1 with $2 does not pass"
}

disagrees_vmx " ok resumes .* next: vmfail-7 " "resumes"
disagrees_vmx " ok resumes .* next: vmfail-8 " "vmfail-7"
disagrees_vmx " ok resumes .* next: vmentry-exit-33 .* user: [a-z0-9]* |" "l1-exit 48"
disagrees_vmx " ok resumes .* next:  .* user: nobody" "vmfail-7"
disagrees_vmx " ok resumes .* next:  .* user: nobody" "l1-exit 48"
disagrees_vmx " ioctl-rejected KVM_SET_MSRS returns " "resumes"
disagrees_vmx " rules: vmx-hdr-vmcs12-revision | also: | open: " \
	'ioctl-rejected KVM_SET_NESTED_STATE EINVAL # cc="vmcs12->host_cs_selector == 0"'
agrees_vmx " next-rules: vmx-host-pat |" 'vmfail-8 # cc="!kvm_pat_valid(vmcs12->host_ia32_pat)"'
grep -q "^ *1  !kvm_pat_valid(vmcs12->host_ia32_pat)$" "$work/result" || complain "a reason is not counted"
agrees_vmx " next-rules: vmx-host-pat |" 'vmfail-8 # cc="a condition of a later kernel"'
grep -q "^ *1  a condition of a later kernel$" "$work/result" || complain "an unknown reason is not shown"
exit $trouble
