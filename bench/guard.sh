#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard.sh BUILD [--quick|--each]: what the guard costs, on real KVM in an emulated AMD host: ratios of guarded to
# unguarded in one run, against the targets; nothing passes or fails on them. The host's clock counts instructions:
# the figures are instructions of the host's kernel and of the VMM, the same however busy this machine is. A VM entry
# or exit is one instruction here and the most expensive part of KVM_RUN on a real processor, so that real ratios
# of KVM_RUN are lower.
#
# CLOCK=real measures time instead, with all the noise of this machine.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: guard.sh BUILD [--quick|--each]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
hosts=$here/../tests/hosts
bench=$(realpath "$1/bench/bench-guard")
: "${CLOCK:=instructions}"
options=(--rounds 9)
case ${2-} in
--quick) if [ "$CLOCK" = real ]; then options=(--rounds 3); else options=(--rounds 1); fi ;;
--each) options+=(--each) ;;
esac
[ "$CLOCK" = real ] || options+=(--unit 4)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rawdump=$hosts/rawdump
# shellcheck disable=SC2086 # one word a file
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -I"$here" -I"$rawdump" -o "$work/vmm" \
	"$here/guard_vmm.c" "$rawdump"/rawdump_*.[cS] -ljansson

# Without nested vCPUs on the host, and with some that are followed.
cat >"$work/job" <<-EOF
	#!/bin/sh
	set -e
	mount -t securityfs securityfs /sys/kernel/security
	echo "== No vCPU uses nesting"
	$bench ${options[*]} $work/vmm fionread:1.05 winsize:1.05 check-ext:1.05 run-plain:1.02
	echo
	echo "== Some vCPUs use nesting"
	$bench ${options[*]} $work/vmm fionread:1.05 get-regs:1.05 get-events:1.05 run-plain:1.02 \\
		run-l2:1.05 run-l2-exits:1.05 set-nested:2 set-and-run
EOF
chmod +x "$work/job"
"$hosts/host.sh" run bench "$work/job" "$work/out" --clock "$CLOCK" --timeout "${TIME_LIMIT:-1800}" \
	--append "debugfs=off clearcpuid=erms" --keep "$work" --keep "$(dirname "$bench")"
