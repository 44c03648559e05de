#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the cases $CASES/VARIANT.cases of each dump $BASES/VARIANT on this machine's KVM, for busybox's sh.
# What came of each is said as it comes, "seen VARIANT NAME outcome ...": an emulated Intel host that dies
# takes its files with it. One case at a time, in order, so that it is known which it was.
# Environment: RAWDUMP, BASES, CASES, WORKERS.
set -u

for file in "$CASES"/*.cases; do
	variant=$(basename "$file" .cases)
	"$RAWDUMP" batch "$BASES/$variant" "$file" "${WORKERS:-1}" 2>errors | while read -r line; do
		echo "seen $variant $line"
	done
	sed "s/^/$variant: /" errors | tail -n 3
done
exit 0
