#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hook.sh BUILD OUTDIR: libvirt's daemon with nestmig's hook in an emulated AMD host (roles/hook.sh): what it lets
# pass and what it refuses, managed saves and others, a daemon that starts again; `nestmig snapshot --domain` and
# `nestmig restore --domain`. OUTDIR gets what went to the journal. TESTS: only these parts of
# "good broken reconnect domain".
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: hook.sh BUILD OUTDIR"
find_program NESTMIG "$1/cmd/nestmig"
find_program NESTMIG_POKE "$1/tests/nestmig-poke"
L1=$scratch/l1.elf
"$hosts/l1/build.sh" "$L1" || fail "cannot build the nested guest"
mkdir -p "$2"
"$hosts/host.sh" run K "$hosts/roles/hook.sh" "$(realpath "$2")" --clock "${CLOCK:-instructions}" \
	--timeout "$TIME_LIMIT" --keep "$scratch" --keep "$(dirname "$NESTMIG")" \
	--keep "$(dirname "$NESTMIG_POKE")" --env "NESTMIG=$NESTMIG" --env "NESTMIG_POKE=$NESTMIG_POKE" \
	--env "L1=$L1" --env "TESTS=${TESTS:-good broken reconnect domain}"
