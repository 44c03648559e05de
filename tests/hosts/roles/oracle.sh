#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs every raw dump below $DUMPS on this machine's KVM; $OUT/outcomes says what came of each.
set -u

# A dump that hangs the host is the one that has a name but no outcome yet.
status=0
for dump in "$DUMPS"/*/; do
	printf '%s ' "$(basename "$dump")"
	if ! "$RAWDUMP" run "$dump"; then
		echo "could not be tried"
		status=1
	fi
done >"$OUT/outcomes"
echo "$(wc -l <"$OUT/outcomes") raw dumps tried"
exit $status
