#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# service.sh BUILD: systemd takes nestmig-guard.service as it is written, and finds it confined. Exits with 77, which
# skips it, where there is no systemd-analyze. Nothing is started.
set -euo pipefail

build=$(realpath "$1")
command -v systemd-analyze >/dev/null || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# verify wants to see the program.
sed "s|^ExecStart=[^ ]*|ExecStart=$build/cmd/nestmig|" "$build/hooks/nestmig-guard.service" \
	>"$work/nestmig-guard.service"
said=$(systemd-analyze verify --man=no "$work/nestmig-guard.service" 2>&1) || { echo "$said"; exit 1; }
# What it says of other units of this machine does not matter.
! grep nestmig <<<"$said" || exit 1

# Of 100, 0 is best: this is what CAP_SYS_ADMIN, root and the host's processes cost.
systemd-analyze security --offline=yes --threshold=15 "$work/nestmig-guard.service" >"$work/security" ||
	{ grep -v '✓' "$work/security"; exit 1; }
tail -n 1 "$work/security"
