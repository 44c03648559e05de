#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh BUILD [OUTDIR]: a running nested guest moves from host A to host B, verified on the way; then
# broken copies of it are refused, and forced, to see that what nestmig foretold is what KVM does.
#
# BUILD is the build directory. Nothing is installed and no privilege is needed. Environment:
# NESTMIG and NESTMIG_POKE, other programs to try; EMULATE=1, emulated hosts in any case;
# NESTMIG_HOST_CACHE, see host.sh.
set -uo pipefail
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -ge 1 ] || fail "usage: demo.sh BUILD [OUTDIR]"
out=${2:-$scratch/out}
prepare_programs "$1"
if run_pair source.sh destination.sh "$out"; then
	echo "demo: the nested guest moved from A to B and L2 counts on; every broken copy was" \
		"refused, and did under force what was foretold ($SECONDS s)"
else
	echo "demo: FAILED after $SECONDS s, see above"
	exit 1
fi
