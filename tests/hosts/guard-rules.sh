#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard-rules.sh BUILD OUTDIR [MUTATIONS [SEED]]: do the rules say the same in a kernel as in the library? In an
# emulated host, always, a BPF program with all of them is loaded and judges the cases of every rule, the
# states of tests/cases and MUTATIONS random changes of each (default 20). One answer that differs is a
# failure.
set -euo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 2 ] || fail "usage: guard-rules.sh BUILD OUTDIR [MUTATIONS [SEED]]"
find_program JUDGE_RULES "$1/tests/nestmig-judge-rules"
cases=$(realpath "$hosts/../cases")

mkdir -p "$scratch/states" "$2"
for stream in "$cases"/streams/*.zst; do
	zstd -q -d "$stream" -o "$scratch/states/$(basename "$stream" .zst)"
done
for dump in raw-dump raw-dump-vmx smm-l2; do
	cp -r "$cases/$dump" "$scratch/states/$dump"
done
zstd -q -d --rm "$scratch"/states/*/mem/*.zst
"$hosts/host.sh" run K "$hosts/roles/guard-rules.sh" "$(realpath "$2")" --timeout "$TIME_LIMIT" \
	--keep "$scratch" --keep "$(dirname "$JUDGE_RULES")" --env "JUDGE_RULES=$JUDGE_RULES" \
	--env "STATES=$scratch/states" --env "MUTATIONS=${3:-20}" --env "SEED=${4:-20261121}"
