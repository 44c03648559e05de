#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Judges in this host's kernel and in the library. Environment: JUDGE_RULES, STATES (a directory),
# MUTATIONS, SEED.
set -u

uname -r
"$JUDGE_RULES" "$MUTATIONS" "$SEED" "$STATES"/* || exit
# The comparison must be able to fail.
SPOIL=1 "$JUDGE_RULES" 0 0 >/dev/null
if [ $? != 1 ]; then
	echo "FAILED: the kernel got another state, and no answer differed"
	exit 1
fi
