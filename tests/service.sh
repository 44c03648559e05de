#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# service.sh BUILD [CALLS]: systemd takes nestmig-guard.service as it is written, and finds it confined. Exits with 77, which
# skips it, where there is no systemd-analyze. Nothing is started. The file CALLS has names of system calls, of
# hosts/guard-cli.sh, which the service must be allowed to make.
set -euo pipefail

build=$(realpath "$1") calls=${2:-}
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

# members SET...: the system calls of sets, and names as they are
members() {
	local name
	for name; do
		if [ "${name#@}" = "$name" ]; then
			echo "$name"
		else
			# shellcheck disable=SC2046 # one word a name
			members $(systemd-analyze syscall-filter "$name" | sed -n 's/^    \([@a-z0-9_-]*\)$/\1/p')
		fi
	done
}

# filters [~]: the words of the unit's lists of what is allowed, or of what is not
filters() {
	sed -n "s/^SystemCallFilter=$1\([^~].*\)/\1/p" "$work/nestmig-guard.service"
}

if [ -n "$calls" ]; then
	# shellcheck disable=SC2046 # one word a name
	comm -23 <(members $(filters '') | sort -u) <(members $(filters '~') | sort -u) >"$work/allowed"
	# Asked for only to hear no: a process under the service's limits goes on.
	sort -u "$calls" | comm -23 - "$work/allowed" | grep -vx -e setrlimit -e prlimit64 >"$work/refused" || true
	[ ! -s "$work/refused" ] || { echo "the service is not allowed:" && cat "$work/refused"; exit 1; }
fi
