#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the dumps that $CASES/VARIANT.cases change, as $OUT/bases/VARIANT, and runs the cases, one after
# the other, so that it is known in which the kernel warns. What came of each is said as it comes, "seen
# VARIANT NAME outcome ...": an emulated Intel host that dies takes its files with it. Environment:
# RAWDUMP, CASES, OUT. On such a host sh is busybox's.
set -u

if [ ! -w /sys/kernel/debug/clear_warn_once ]; then
	echo "FAILED: without debugfs it cannot be known whether the kernel warns"
	exit 1
fi
mkdir -p "$OUT/bases"
"$RAWDUMP" variants >"$OUT/variants"
for cases in "$CASES"/*.cases; do
	variant=$(basename "$cases" .cases)
	grep -qx "$variant" "$OUT/variants" || continue
	"$RAWDUMP" save "$variant" "$OUT/bases/$variant" || continue
	"$RAWDUMP" batch "$OUT/bases/$variant" "$cases" 1 2>"$OUT/errors" | while read -r line; do
		echo "seen $variant $line"
	done
	grep -v ' cases' "$OUT/errors"
done
rm -f "$OUT/errors"
exit 0
