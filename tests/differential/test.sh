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
mkdir "$work/bases"
cp -r "$here/../cases/raw-dump" "$work/bases/raw"
# All that is known of a base state is known of this one: its RAM is one extent, and what its VMM enables.
raw=$work/bases/raw
truncate -s 256K "$raw/mem/0"
for extent in 1000 10000; do
	dd if="$raw/mem/$extent" of="$raw/mem/0" bs=4096 seek=$((16#$extent / 4096)) conv=notrunc status=none
	rm "$raw/mem/$extent"
done
jq '.memory_complete = true | .vm_caps = ["KVM_CAP_EXCEPTION_PAYLOAD", "KVM_CAP_X86_TRIPLE_FAULT_EVENT",
	"KVM_CAP_SPLIT_IRQCHIP"]' "$raw/meta.json" >"$work/meta.json" && mv "$work/meta.json" "$raw/meta.json"

complain() {
	echo "$*"
	trouble=1
}

make() {
	"$cases" "$work/bases" "$work/$1" "${2:-$count}" "${3:-7}" || complain "cannot make cases"
}

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

# Every poke is inside its file, and bytes are whole.
while read -r _ file offset hex; do
	size=$(stat -c %s "$work/bases/raw/$file") || complain "no file $file"
	[ $((offset + ${#hex} / 2)) -le "$size" ] && [ $((${#hex} % 2)) = 0 ] ||
		complain "poke $file $offset $hex is not inside"
done < <(grep '^poke' "$work/one/raw.cases")

# What nestmig says of a dump on disk is what was foretold.
for name in 00003 00017 00101 00300 00599; do
	"$cases" "$work/bases" - 0 7 --case "raw/$name" "$work/$name" >"$work/$name.line" ||
		complain "cannot write case $name"
	cmp -s "$work/$name.line" <(grep "^$name " "$work/one/raw.foretold") || complain "$name is another case"
	verdict=$(cut -d' ' -f2 "$work/$name.line")
	outcome=$(cut -d' ' -f3 "$work/$name.line")
	[[ $("$nestmig" validate --json "$work/$name") == *"\"verdict\":\"$verdict\",\"outcome\":\"$outcome\""* ]] ||
		complain "$name is foretold $verdict $outcome, but validate says otherwise"
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
exit $trouble
