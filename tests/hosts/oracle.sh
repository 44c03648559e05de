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
#       # details", in the order in which they end; progress is shown.
#
# KERNEL WORDS, e.g. "kvm_amd.npt=0", reach an emulated host's command line and force one.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

usage() {
	fail "usage: oracle.sh DUMPS OUTDIR [KERNEL WORDS] | --batch BASES CASES OUTDIR [KERNEL WORDS]"
}

# Generous: one slow core does some eighty cases a second.
batch_time_limit() {
	local count
	count=$(cat "$1"/*.cases | grep -c '^case ')
	echo $((120 + count / 4))
}

if [ "${1:-}" = --batch ]; then
	if [ $# -lt 4 ] || [ ! -d "$2" ] || [ ! -d "$3" ]; then
		usage
	fi
	build_guest
	TIME_LIMIT=$(batch_time_limit "$3") EXTRA_WORDS=$FAST_WORDS
	run_role oracle-batch.sh "$4" "${5:-}" "BASES=$(realpath "$2")" "CASES=$(realpath "$3")"
else
	if [ $# -lt 2 ] || [ ! -d "$1" ]; then
		usage
	fi
	build_guest
	run_role oracle.sh "$2" "${3:-}" "DUMPS=$(realpath "$1")"
fi
