#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# differential.sh BUILD OUTDIR COUNT SEED: does KVM do what nestmig foretells? COUNT cases, each a genuine
# base state with one to three mutations, are judged, then restored and run on real KVM, half of them on a
# host with nested paging (npt1), half on one without (npt0), side by side.
#
# How strict the comparison is, and what is left open: tests/differential/compare.awk. Where the emulated
# processor is not what the manual says: tests/differential/peculiar.def. OUTDIR gets result, wrong (a line
# a disagreement) and HOST/{bases,cases,seen}. To look into a case:
#
#   BUILD/tests/nestmig-cases OUTDIR/npt1/bases - 0 SEED --case VARIANT/NAME DIR
#   nestmig validate DIR; tests/hosts/rawdump/... run DIR
#
# Environment: BASES, a directory with npt1 and npt0 that bases.sh has filled before; HOSTS, only these of
# "npt1 npt0"; VARIANTS, only these base states (with commas).
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

if [ $# -ne 4 ]; then
	fail "usage: differential.sh BUILD OUTDIR COUNT SEED"
fi
build=$(realpath "$1") count=$3 seed=$4
rm -rf "$2"
mkdir -p "$2"
out=$(realpath "$2")
differential=$(realpath "$hosts/../differential")
begin=$SECONDS

phase() {
	echo "$((SECONDS - begin)) s: $*"
}

# The kernel words of a host: none where this machine's own KVM is used.
words_of() {
	case $1 in
	npt0) echo "kvm_amd.npt=0" ;;
	npt1) [ "$real" = 1 ] || echo "kvm_amd.npt=1" ;;
	esac
}

make_bases() {
	if [ -n "${BASES:-}" ]; then
		mkdir -p "$out/$1"
		cp -r "$BASES/$1" "$out/$1/bases"
	else
		"$hosts/bases.sh" "$out/$1/bases" "$(words_of "$1")"
	fi
}

# Another seed for another host: the variants have the same names on both.
make_cases() {
	"$build/tests/nestmig-cases" "$out/$1/bases" "$out/$1/cases" $((count / host_count)) \
		$((seed + ${1#npt})) ${VARIANTS:+--variant "$VARIANTS"}
}

ask_kvm() {
	"$hosts/oracle.sh" --batch "$out/$1/bases" "$out/$1/cases" "$out/$1/seen" "$(words_of "$1")"
}

# on_each FUNCTION: on every host at once; the output of each is shown if it fails.
on_each() {
	local host pids=() pid status=0
	for host in $host_list; do
		"$1" "$host" >"$out/$host.$1.log" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=1
	done
	[ $status = 0 ] || tail -n 30 "$out"/*."$1".log
	return $status
}

compare() {
	local host files=()
	"$build/tests/nestmig-cases" "$out/${host_list%% *}/bases" - 0 0 --rules >"$out/all.rules" || return
	for host in $host_list; do
		files+=("$host"/cases/*.foretold "$host"/seen/*.seen)
	done
	awk -v "real=$real" -v wrong=wrong -f "$differential/compare.awk" all.rules "${files[@]}"
}

build_guest
if kvm_runs_nested_svm; then
	real=1 host_list=npt1 host_count=1
else
	real=0 host_list=${HOSTS:-npt1 npt0}
	host_count=$(wc -w <<<"$host_list")
	"$hosts/host.sh" prepare || fail "cannot prepare the emulated hosts"
fi
phase "base states"
on_each make_bases || fail "cannot make the base states"
phase "$count cases, seed $seed"
on_each make_cases || fail "cannot make the cases"
phase "KVM"
on_each ask_kvm || fail "KVM did not try all cases"
phase "comparison"
cd "$out" || exit 2
compare >result
status=$?
head -n 40 wrong
cat result
phase "done"
exit $status
