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
# KERNEL WORDS, e.g. "kvm_amd.npt=0", reach an emulated host's command line and force one.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

MAX_DEATHS=${MAX_DEATHS:-40}

usage() {
	fail "usage: oracle.sh DUMPS OUTDIR [KERNEL WORDS] | --batch BASES CASES OUTDIR [KERNEL WORDS]"
}

# Generous: one slow core does some eighty cases a second.
batch_time_limit() {
	local count
	count=$(cat "$1"/*.cases | grep -c '^case ')
	echo $((120 + count / 4))
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

if [ "${1:-}" = --batch ]; then
	if [ $# -lt 4 ] || [ ! -d "$2" ] || [ ! -d "$3" ]; then
		usage
	fi
	build_guest
	TIME_LIMIT=$(batch_time_limit "$3") EXTRA_WORDS=$FAST_WORDS
	mkdir -p "$4"
	BASES=$(realpath "$2") CASES=$(realpath "$3") OUT=$(realpath "$4")
	run_batch "${5:-}"
else
	if [ $# -lt 2 ] || [ ! -d "$1" ]; then
		usage
	fi
	build_guest
	run_role oracle.sh "$2" "${3:-}" "DUMPS=$(realpath "$1")"
fi
