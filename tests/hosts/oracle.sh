#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What real KVM does with raw KVM dumps.
#
#   oracle.sh DUMPS OUTDIR [KERNEL WORDS]
#       Restores and runs each dump DUMPS/NAME. OUTDIR/outcomes gets one line a dump, "NAME outcome
#       WORD ...", sorted by name.
#   oracle.sh --batch BASES CASES OUTDIR [KERNEL WORDS]
#       Restores and runs the dump BASES/VARIANT with each of the changes in CASES/VARIANT.cases, see
#       rawdump/rawdump_cases.c. OUTDIR/VARIANT.seen gets one line a case, "NAME outcome WORD ...
#       # details", in the order in which they end; progress is shown. A case that ends the emulated
#       host (QEMU's TCG aborts at some states) is found, and gets the outcome host-died.
#
# KERNEL WORDS, e.g. "kvm_amd.npt=0", reach an emulated host's command line and force one. With INTEL_HOST,
# where an emulated Intel host runs (see intel.sh), that one is used, and WORDS, e.g. "kvm_intel.ept=0", are
# parameters of its modules.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

MAX_DEATHS=${MAX_DEATHS:-40}

usage() {
	fail "usage: oracle.sh DUMPS OUTDIR [KERNEL WORDS] | --batch BASES CASES OUTDIR [KERNEL WORDS]"
}

# Generous: one slow core does some eighty cases a second, or three in Bochs.
batch_time_limit() {
	local count
	count=$(cat "$1"/*.cases | grep -c '^case ')
	if [ -n "${INTEL_HOST:-}" ]; then
		echo $((300 + count))
	else
		echo $((120 + count / 4))
	fi
}

# The first variant that has cases without an outcome, or nothing.
unfinished() {
	local file variant
	for file in "$CASES"/*.cases; do
		variant=$(basename "$file" .cases)
		if [ "$(grep -c '^case ' "$file")" -gt "$(grep -cs outcome "$OUT/$variant.seen")" ]; then
			echo "$variant"
			return
		fi
	done
}

# The host is gone. Its next run takes the cases that were under way one by one, and says in the file
# "at" which; if it is that one again, it is found.
note_death() {
	local variant name
	if read -r variant name 2>/dev/null <"$OUT/at"; then
		echo "$name outcome host-died" >>"$OUT/$variant.seen"
		echo "$variant: the host dies of case $name"
	else
		variant=$(unfinished)
		echo "$variant: the host died"
	fi
	rm -f "$OUT/at"
	touch "$OUT/$variant.died"
}

run_batch() {
	local deaths status
	rm -f "$OUT"/*.seen "$OUT"/*.died "$OUT/at"
	for ((deaths = 0; deaths <= MAX_DEATHS; deaths++)); do
		status=0
		run_role oracle-batch.sh "$OUT" "$1" "BASES=$BASES" "CASES=$CASES" || status=$?
		[ $status = 125 ] && [ -n "$(unfinished)" ] || return $status
		note_death
	done
	echo "the host died $deaths times"
	return 1
}

# remaining FILE SEEN: the cases of FILE without an outcome
remaining() {
	awk 'FILENAME == ARGV[1] { seen[$1] = 1; next }
		$1 == "case" { wanted = !($2 in seen) }
		wanted' "$2" "$1"
}

# What is left to do, as $scratch/cases.
write_remaining() {
	local file variant
	rm -rf "$scratch/cases"
	mkdir "$scratch/cases"
	for file in "$CASES"/*.cases; do
		variant=$(basename "$file" .cases)
		touch "$OUT/$variant.seen"
		remaining "$file" "$OUT/$variant.seen" >"$scratch/cases/$variant.cases"
		[ -s "$scratch/cases/$variant.cases" ] || rm "$scratch/cases/$variant.cases"
	done
}

take_seen() {
	local word variant rest
	while read -r word variant rest; do
		if [ "$word" = seen ]; then
			echo "$rest" >>"$OUT/$variant.seen"
		else
			echo "$word $variant $rest"
		fi
	done
}

# One case at a time runs there, in order: the first without an outcome is what the host died of.
note_intel_death() {
	local variant name
	variant=$(unfinished)
	name=$(remaining "$CASES/$variant.cases" "$OUT/$variant.seen" |
		awk '$1 == "case" { print $2; exit }')
	echo "$name outcome host-died" >>"$OUT/$variant.seen"
	echo "$variant: the host dies of case $name"
	"$hosts/intel.sh" start "$INTEL_HOST"
}

run_intel_batch() {
	local deaths
	rm -f "$OUT"/*.seen
	for ((deaths = 0; deaths <= MAX_DEATHS; deaths++)); do
		write_remaining
		run_role intel-batch.sh "$OUT" "$1" "BASES=$BASES" "CASES=$scratch/cases" | take_seen
		[ "${PIPESTATUS[0]}" = 125 ] || break
		[ -n "$(unfinished)" ] || break
		note_intel_death || return
	done
	[ -z "$(unfinished)" ] || fail "not all cases of $(unfinished) were tried"
}

if [ "${1:-}" = --batch ]; then
	if [ $# -lt 4 ] || [ ! -d "$2" ] || [ ! -d "$3" ]; then
		usage
	fi
	build_guest
	TIME_LIMIT=$(batch_time_limit "$3") EXTRA_WORDS=$MANY_VMS
	mkdir -p "$4"
	BASES=$(realpath "$2") CASES=$(realpath "$3") OUT=$(realpath "$4")
	if [ -n "${INTEL_HOST:-}" ]; then
		run_intel_batch "${5:-}"
	else
		run_batch "${5:-}"
	fi
else
	if [ $# -lt 2 ] || [ ! -d "$1" ]; then
		usage
	fi
	build_guest
	run_role oracle.sh "$2" "${3:-}" "DUMPS=$(realpath "$1")"
fi
