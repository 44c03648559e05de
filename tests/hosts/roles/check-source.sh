#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host A of check.sh: a guest with one vCPU, one with two, then the artefacts, then predictions about
# those, then exceptions in the first snapshot.
set -eu
roles=$(dirname "$0")

for CPUS in 1 2; do
	export CPUS
	"$roles/source.sh"
done
"$roles/artefacts.sh"
"$roles/predictions.sh"
CPUS=1 "$roles/exceptions.sh"
