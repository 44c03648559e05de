#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host B of check.sh. Breaking the state needs no second vCPU.
set -eu
roles=$(dirname "$0")

CPUS=1 "$roles/destination.sh"
CPUS=2 BROKEN=0 "$roles/destination.sh"
