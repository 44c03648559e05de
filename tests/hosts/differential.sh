#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# differential.sh BUILD OUTDIR COUNT SEED: does KVM do what nestmig foretells? COUNT cases, each a genuine
# base state with one to three mutations, are judged, then restored and run on real KVM, half of them on a
# host with nested paging (npt1), half on one without (npt0), side by side.
#
# How strict the comparison is, and what is left open: tests/differential/compare.awk. Where the emulated
# processor is not what the manual says: tests/differential/peculiar.def. OUTDIR gets result (also what no case
# showed), wrong (a line a disagreement) and HOST/{bases,cases,seen}. To look into a case:
#
#   BUILD/tests/nestmig-cases OUTDIR/npt1/bases - 0 SEED --case VARIANT/NAME DIR
#   nestmig validate DIR; tests/hosts/rawdump/... run DIR
#
# VENDOR=intel: the same on kvm_intel in Bochs, as it comes (ept1), with unrestricted_guest=0 (ug0) and with
# ept=0 (ept0); half of the cases go to the first. Two machines are booted, ept1 has one for itself.
#
# Environment: BASES, a directory with one for each host that bases.sh has filled before; HOSTS, only these
# of "npt1 npt0" or "ept1 ug0 ept0"; VARIANTS, only these base states (with commas); INTEL_HOSTS, 1 or 2;
# INTEL_DIR, a directory where intel.sh has started them before, as a and b.
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
	ept1) ;;
	ug0) echo "kvm_intel.unrestricted_guest=0" ;;
	ept0) echo "kvm_intel.ept=0" ;;
	npt0) echo "kvm_amd.npt=0" ;;
	npt1) [ "$real" = 1 ] || echo "kvm_amd.npt=1" ;;
	esac
}

# The directory of the emulated Intel host for ept1, ug0 or ept0; none for AMD.
intel_host_of() {
	[ "$vendor" = intel ] || return 0
	if [ "$1" = ept1 ] || [ "$INTEL_HOSTS" = 1 ]; then
		echo "$INTEL_DIR/a"
	else
		echo "$INTEL_DIR/b"
	fi
}

boot_intel() {
	mkdir -p "$INTEL_DIR"
	intel_booted=1
	on_each boot_one a b
}

boot_one() {
	[ "$1" = a ] || [ "$INTEL_HOSTS" = 2 ] || return 0
	"$hosts/intel.sh" start "$INTEL_DIR/$1" --append "debugfs=off"
}

stop_everything() {
	local host
	for host in a b; do
		[ "$intel_booted" = 0 ] || "$hosts/intel.sh" stop "$INTEL_DIR/$host"
	done
	stop_roles
}

make_bases() {
	local INTEL_HOST
	INTEL_HOST=$(intel_host_of "$1")
	export INTEL_HOST
	if [ -n "${BASES:-}" ]; then
		mkdir -p "$out/$1"
		cp -r "$BASES/$1" "$out/$1/bases"
	else
		"$hosts/bases.sh" "$out/$1/bases" "$(words_of "$1")"
	fi
}

# Another seed for another host: the variants have the same names on all.
seed_of() {
	case $1 in
	npt0) echo $seed ;;
	npt1 | ept1) echo $((seed + 1)) ;;
	ug0) echo $((seed + 2)) ;;
	ept0) echo $((seed + 3)) ;;
	esac
}

share_of() {
	if [ "$host_list" != "ept1 ug0 ept0" ]; then
		echo $((count / host_count))
	elif [ "$1" = ept1 ]; then
		echo $((count / 2))
	else
		echo $((count / 4))
	fi
}

make_cases() {
	"$build/tests/nestmig-cases" "$out/$1/bases" "$out/$1/cases" "$(share_of "$1")" \
		"$(seed_of "$1")" ${VARIANTS:+--variant "$VARIANTS"}
}

ask_kvm() {
	local INTEL_HOST
	INTEL_HOST=$(intel_host_of "$1")
	export INTEL_HOST
	"$hosts/oracle.sh" --batch "$out/$1/bases" "$out/$1/cases" "$out/$1/seen" "$(words_of "$1")"
}

# on_each FUNCTION [HOST...]: on every host at once; the output of each is shown if it fails.
on_each() {
	local host pids=() pid status=0 list=$host_list
	[ $# = 1 ] || list=${*:2}
	for host in $list; do
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

vendor=${VENDOR:-amd} intel_booted=0
INTEL_HOSTS=${INTEL_HOSTS:-2}
trap stop_everything EXIT
[ "$vendor" = intel ] || build_guest
if [ "$vendor" = intel ]; then
	real=0 host_list=${HOSTS:-ept1 ug0 ept0}
	host_count=$(wc -w <<<"$host_list")
	if [ -z "${INTEL_DIR:-}" ]; then
		INTEL_DIR=$out/intel
		phase "booting"
		boot_intel || fail "cannot boot the emulated Intel hosts"
	fi
elif kvm_runs_nested_svm; then
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
grep -v '^ *never ' result
phase "done"
exit $status
