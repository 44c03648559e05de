#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# differential.sh BUILD BASE OUTDIR COUNT SEED [KERNEL WORDS]: does KVM do what nestmig foretells? COUNT
# mutated copies of the raw dump BASE are judged, then restored and run on real KVM.
#
# An outcome that is foretold must come true. Where "resumes" is foretold, restore and entry must
# succeed; what L2 does then, with registers that are not its own, is not foretold. Counted as left
# open, not compared, are:
# - a case that nestmig leaves open ("unknown"), and one that only rules decide which the emulated
#   processor does not have: QEMU's TCG 7.2 ignores an event_inj with a type that is reserved, where the
#   APM (volume 2, "Event Injection") has VMRUN fail;
# - "shutdown" at L2's next exit to L1, where L2 counts, and the run ends, before it exits. A BASE
#   whose L1 intercepts L2's OUT leaves none of these;
# - "svm-exit-err" with a changed CR3 or nested_cr3, where L2 gets a triple fault: if the root of the
#   page tables that KVM shadows is not RAM, KVM 6.1 does that before the processor sees the VMCB
#   (mmu_check_root). Rules that know guest memory warn of it; these dumps leave it open;
# - a refusal of KVM_SET_NESTED_STATE that is foretold of a vCPU outside guest mode, where KVM refuses
#   L1's registers first: no rule judges those yet, and nestmig says so ("no_rules_for").
# More than a fifth left open is a failure: then too little is compared.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

build=$(realpath "$1") base=$(realpath "$2") out=$3 count=$4 seed=$5 words=${6:-}
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
"$build/tests/nestmig-mutate" "$base" "$out/dumps" "$count" "$seed"
(cd "$out/dumps" && "$build/cmd/nestmig" validate --json ./*) >"$out/foretold.json" || [ $? = 1 ]
jq -r '.vcpus[0] as $v | [$v.findings[] | select(.severity == "error") | .rule] as $rules |
	(if ($rules | length) > 0 and all($rules[]; startswith("svm-ctl-evtinj-")) then "unknown"
	elif $v.no_rules_for then "outside" else .verdict end)
	as $verdict | [(.file | ltrimstr("./")), $verdict, $v.outcome, $v.ioctl // empty, $v.errno // empty]
	| join(" ")' "$out/foretold.json" >"$out/foretold"
"$here/oracle.sh" "$out/dumps" "$out/seen" ${words:+"$words"}

# NAME verdict outcome [ioctl errno] against NAME outcome WORD [ioctl errno]
# KVM_EXIT_UNKNOWN (0), which QEMU stops at as at an internal error, is one.
join <(sort "$out/foretold") \
	<(sed 's/SREGS2/SREGS/; s/outcome kvm-exit 0$/outcome internal-error/' "$out/seen/outcomes" | sort) |
	awk -v dumps="$out/dumps" '
	function cr3_changed(name) {
		return !system("grep -qs cr3 \047" dumps "/" name "/changes\047")
	}
	{
		for (i = 2; $i != "outcome"; i++) ;
		foretold = ""; seen = ""
		for (j = 3; j < i; j++) foretold = foretold (j > 3 ? " " : "") $j
		for (j = i + 1; j <= NF; j++) seen = seen (j > i + 1 ? " " : "") $j
		all++
		refused = seen ~ /^(ioctl-rejected|svm-exit-err|fail-entry|run-error|internal-error)/
		if ($2 == "unknown" || ($2 == "outside" && foretold == "resumes") || (foretold == "shutdown" && seen == "resumes") ||
		    (foretold == "svm-exit-err" && seen == "triple-fault-to-l1" && cr3_changed($1)) ||
		    ($2 == "outside" && refused && seen !~ /NESTED_STATE/)) {
			open++
			next
		}
		if (foretold == "resumes" ? refused : foretold != seen) {
			print $1 ": foretold \"" foretold "\", seen \"" seen "\""
			wrong++
		}
		kinds[foretold]++
	}
	END {
		for (kind in kinds) print "  " kinds[kind] " foretold: " kind
		print all + 0 " cases, " open + 0 " left open, " wrong + 0 " disagreements"
		if (open * 5 > all) {
			print "too many cases are left open"
			wrong++
		}
		exit wrong > 0
	}' >"$out/result" && status=0 || status=1
while IFS=: read -r name _; do
	[ ! -e "$out/dumps/$name/changes" ] || sed "s/^/$name: /" "$out/dumps/$name/changes"
done < <(grep '^[0-9]*: ' "$out/result")
cat "$out/result"
[ "$(wc -l <"$out/seen/outcomes")" = "$count" ] || { echo "not all $count cases were tried"; status=1; }
exit $status
