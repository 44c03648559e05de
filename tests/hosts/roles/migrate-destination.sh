#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host B of migrate.sh: libvirt's daemon, listening, and QEMUs that wait for what comes in.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=apart.sh
. "$(dirname "$0")/apart.sh"
# shellcheck source=libvirt.sh
. "$(dirname "$0")/libvirt.sh"
# shellcheck source=moving.sh
. "$(dirname "$0")/moving.sh"

LIBVIRTD_OPTIONS=--listen
obey_a
