#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the dumps that $OUT/cases/VARIANT.cases change, as $OUT/bases/VARIANT, and runs the cases:
# $OUT/VARIANT.seen gets what came of each, and "NAME warned" if the kernel printed a warning in one that
# says that it does; any other warning fails. Environment: RAWDUMP, OUT.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

has_warned() {
	dmesg | grep -q '^\[[^]]*\] WARNING: '
}

# The kernel may warn once more where it has warned before.
forget_warnings() {
	dmesg -C
	echo 1 >/sys/kernel/debug/clear_warn_once
}

# split_cases FILE: $work/calm.cases, and one file $work/NAME.warns for each case that warns
split_cases() {
	rm -f "$work"/*
	: >"$work/calm.cases"
	awk -v work="$work" '
	function flush() {
		if (name != "")
			printf "%s", text >(work "/" (warns ? name ".warns" : "calm.cases"))
		text = ""; warns = 0
	}
	$1 == "case" { flush(); name = $2 }
	/^# warns/ { warns = 1 }
	{ text = text $0 "\n" }
	END { flush() }' "$1"
}

run_variant() {
	local variant=$1 file
	"$RAWDUMP" save "$variant" "$OUT/bases/$variant" || return
	forget_warnings
	"$RAWDUMP" batch "$OUT/bases/$variant" "$work/calm.cases" || return
	if has_warned; then
		dmesg | grep 'WARNING: ' >&2
		echo "FAILED: $variant: the kernel warns where nobody expects it" >&2
		return 1
	fi
	for file in "$work"/*.warns; do
		[ -e "$file" ] || continue
		forget_warnings
		"$RAWDUMP" batch "$OUT/bases/$variant" "$file" || return
		has_warned && echo "$(basename "$file" .warns) warned"
		dmesg | sed -n 's/^\[[^]]*\] \(WARNING: .*\)/\1/p' >>"$OUT/warnings"
	done
	return 0
}

for cases in "$OUT"/cases/*.cases; do
	variant=$(basename "$cases" .cases)
	"$RAWDUMP" variants | grep -qx "$variant" || continue
	split_cases "$cases"
	run_variant "$variant" >"$OUT/$variant.seen" 2>"$work/errors" || status=1
	grep -v ' cases in ' "$work/errors"
done
echo "$(cat "$OUT"/*.seen | grep -c outcome) cases tried"
exit $status
