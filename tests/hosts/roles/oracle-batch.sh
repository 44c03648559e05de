#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the cases $CASES/VARIANT.cases of each dump $BASES/VARIANT on this machine's KVM;
# $OUT/VARIANT.seen says what came of each. What has an outcome there already, from a host that died, is
# not run again. Environment: RAWDUMP, BASES, CASES, OUT.
set -u
# As many cases are under way at a time; see rawdump/rawdump_batch.c.
WORKERS=8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# remaining FILE SEEN: the cases of FILE without an outcome
remaining() {
	awk 'NR == FNR && FILENAME != "-" { seen[$1] = 1; next }
		$1 == "case" { wanted = !($2 in seen) }
		wanted' "$2" - <"$1"
}

# take FILE FROM TO: the cases with these numbers
take() {
	awk -v from="$2" -v to="$3" '$1 == "case" { number++ } number >= from && number <= to' "$1"
}

batch() {
	"$RAWDUMP" batch "$BASES/$variant" "$1" 2>"$work/errors" >>"$OUT/$variant.seen" || status=1
}

# Any of the first ones ended the last host: one at a time, and its name is known.
go_carefully() {
	local number
	for ((number = 1; number <= WORKERS; number++)); do
		take "$work/cases" $number $number >"$work/one"
		[ -s "$work/one" ] || return
		awk -v variant="$variant" '$1 == "case" { print variant, $2 }' "$work/one" >"$OUT/at"
		sync -f "$OUT/at"
		batch "$work/one"
		rm "$OUT/at"
	done
	rm "$OUT/$variant.died"
	remaining "$file" "$OUT/$variant.seen" >"$work/cases"
}

for file in "$CASES"/*.cases; do
	variant=$(basename "$file" .cases)
	touch "$OUT/$variant.seen"
	# A line that the last host did not finish
	[ -z "$(tail -c 1 "$OUT/$variant.seen")" ] || sed -i '$d' "$OUT/$variant.seen"
	remaining "$file" "$OUT/$variant.seen" >"$work/cases"
	[ -s "$work/cases" ] || continue
	[ ! -e "$OUT/$variant.died" ] || go_carefully
	# No more than a line is lost if a case takes the host with it.
	"$RAWDUMP" batch "$BASES/$variant" "$work/cases" 2>&1 >>"$OUT/$variant.seen" |
		sed -u "s/^/$variant: /"
	[ "${PIPESTATUS[0]}" = 0 ] || status=1
done
exit $status
