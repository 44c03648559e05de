#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes every variant of nested guest that this host's KVM can run, as $OUT/VARIANT, and sees that each
# resumes on the KVM that made it. Environment: RAWDUMP, OUT. On an emulated Intel host sh is busybox's.
set -u

made=0 status=0
for variant in $("$RAWDUMP" variants); do
	rm -rf "${OUT:?}/$variant"
	if ! "$RAWDUMP" save "$variant" "$OUT/$variant"; then
		echo "FAILED: $variant cannot be made"
		status=1
		continue
	fi
	outcome=$("$RAWDUMP" run "$OUT/$variant")
	if [ "$outcome" != "outcome resumes" ]; then
		echo "FAILED: $variant: $outcome, on the KVM that made it"
		status=1
	fi
	made=$((made + 1))
done
echo "$made variants made"
exit $status
