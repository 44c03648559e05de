#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A profile of this host's kvm_intel, probes included, for busybox's sh. Environment: PROGRAM (a directory: nestmig with
# its libraries), NAME, OUT.
"$PROGRAM/ld-linux-x86-64.so.2" --library-path "$PROGRAM" "$PROGRAM/nestmig" host --save "$OUT/$NAME.json"
