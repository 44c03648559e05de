#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh OUTPUT: builds rawdump. Needs jansson.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh OUTPUT" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -o "$1" \
	"$here"/rawdump*.c "$here/rawdump_guest_code.S" -ljansson
