#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard-cli.sh BUILD OUTDIR: `nestmig guard` and `nestmig top` as an operator uses them, on real KVM in an emulated
# AMD host, always: BPF programs are loaded nowhere else. OUTDIR gets what they print. TESTS: only these of its parts.
set -uo pipefail
TIME_LIMIT=${TIME_LIMIT:-1800}
# shellcheck source=pair.sh
. "$(dirname "$0")/pair.sh"

[ $# -eq 2 ] || fail "usage: guard-cli.sh BUILD OUTDIR"
EMULATE=1
prepare_programs "$1"
find_program OCCUPY "$1/tests/nestmig-occupy"
"$hosts/guard/build.sh" "$scratch/guardvmm" || fail "cannot build guardvmm"
mkdir -p "$2"

# run_cli NAME OUTDIR TESTS [host.sh's options...]
run_cli() {
	local name=$1 out=$2 tests=$3
	shift 3
	mkdir -p "$out"
	"$hosts/host.sh" run "$name" "$hosts/roles/guard-cli.sh" "$(realpath "$out")" --timeout "$TIME_LIMIT" \
		--clock instructions --keep "$scratch" --keep "$(dirname "$NESTMIG")" --keep "$build" \
		--env "NESTMIG=$NESTMIG" --env "RAWDUMP=$RAWDUMP" --env "L1=$L1" --env "GUARDVMM=$scratch/guardvmm" \
		--env "OCCUPY=$OCCUPY" --env "SERVICE=$build/hooks/nestmig-guard.service" \
		--env "FOREIGN=$foreign" --env "TESTS=$tests" "$@"
}

build=$(realpath "$1")
foreign=$scratch/foreign.json
"$NESTMIG" host --root "$hosts/../cases/host-intel-6.1" --save "$foreign" || fail "cannot make a profile"
wanted=${TESTS:-not_installed enforce audit rate killed installed confined top service unloaded}
if [ "$wanted" != nolsm ]; then
	run_cli C "$2" "$wanted" || exit
fi
if [ "$wanted" = nolsm ]; then
	run_cli N "$2/nolsm" nolsm --append "lsm=landlock,lockdown,yama,integrity,apparmor" || exit
fi
# A strict reader of OpenMetrics.
for file in "$2"/*metrics; do
	[ ! -e "$file" ] || /usr/bin/python3 -c 'import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as p
print(sys.argv[1] + ":", len(list(p(open(sys.argv[1]).read()))), "metrics")' "$file" || exit
done
if [ -e "$2/calls" ]; then
	"$hosts/../service.sh" "$1" "$2/calls"
fi
