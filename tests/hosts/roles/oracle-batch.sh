#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the cases $CASES/VARIANT.cases of each dump $BASES/VARIANT on this machine's KVM;
# $OUT/VARIANT.seen says what came of each. Environment: RAWDUMP, BASES, CASES, OUT.
set -u

status=0
for file in "$CASES"/*.cases; do
	variant=$(basename "$file" .cases)
	# No more than a line is lost if a case takes the host with it.
	"$RAWDUMP" batch "$BASES/$variant" "$file" 2>&1 >"$OUT/$variant.seen" | sed -u "s/^/$variant: /"
	[ "${PIPESTATUS[0]}" = 0 ] || status=1
done
exit $status
