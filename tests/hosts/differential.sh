#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# differential.sh BUILD BASE OUTDIR COUNT SEED [KERNEL WORDS]: does KVM do what nestmig foretells? COUNT
# mutated copies of the raw dump BASE are judged, then restored and run on real KVM.
#
# An outcome that is foretold must come true. Where "resumes" is foretold, restore and entry must
# succeed; what L2 does then, with registers that are not its own, is not foretold. A case that
# nestmig leaves open ("unknown") is counted, not compared; so is one that only rules decide which the
# emulated processor does not have: QEMU's TCG 7.2 ignores an event_inj with a type that is reserved,
# where the APM (volume 2, "Event Injection") has VMRUN fail.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

build=$(realpath "$1") base=$(realpath "$2") out=$3 count=$4 seed=$5 words=${6:-}
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
"$build/tests/nestmig-mutate" "$base" "$out/dumps" "$count" "$seed"
(cd "$out/dumps" && "$build/cmd/nestmig" validate --json ./*) >"$out/foretold.json" || [ $? = 1 ]
jq -r '.vcpus[0] as $v | [$v.findings[] | select(.severity == "error") | .rule] as $rules |
	(if ($rules | length) > 0 and all($rules[]; startswith("svm-ctl-evtinj-")) then "unknown" else .verdict end)
	as $verdict | [(.file | ltrimstr("./")), $verdict, $v.outcome, $v.ioctl // empty, $v.errno // empty]
	| join(" ")' "$out/foretold.json" >"$out/foretold"
"$here/oracle.sh" "$out/dumps" "$out/seen" ${words:+"$words"}

# NAME verdict outcome [ioctl errno] against NAME outcome WORD [ioctl errno]
join <(sort "$out/foretold") <(sed 's/SREGS2/SREGS/' "$out/seen/outcomes" | sort) |
	awk '
	{
		for (i = 2; $i != "outcome"; i++) ;
		foretold = ""; seen = ""
		for (j = 3; j < i; j++) foretold = foretold (j > 3 ? " " : "") $j
		for (j = i + 1; j <= NF; j++) seen = seen (j > i + 1 ? " " : "") $j
		all++
		if ($2 == "unknown") { open++; next }
		refused = seen ~ /^(ioctl-rejected|svm-exit-err|fail-entry|run-error|internal-error)/
		if (foretold == "resumes" ? refused : foretold != seen) {
			print $1 ": foretold \"" foretold "\", seen \"" seen "\""
			wrong++
		}
		kinds[foretold]++
	}
	END {
		for (kind in kinds) print "  " kinds[kind] " foretold: " kind
		print all + 0 " cases, " open + 0 " left open, " wrong + 0 " disagreements"
		exit wrong > 0
	}' >"$out/result" && status=0 || status=1
while IFS=: read -r name _; do
	[ ! -e "$out/dumps/$name/changes" ] || sed "s/^/$name: /" "$out/dumps/$name/changes"
done < <(grep '^[0-9]*: ' "$out/result")
cat "$out/result"
[ "$(wc -l <"$out/seen/outcomes")" = "$count" ] || { echo "not all $count cases were tried"; status=1; }
exit $status
