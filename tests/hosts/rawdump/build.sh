#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh OUTPUT [LINKER ARGUMENTS]: builds rawdump. Needs jansson; with -static it runs anywhere.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh OUTPUT [LINKER ARGUMENTS]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
output=$1
shift
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -o "$output" \
	"$here"/rawdump*.c "$here/rawdump_guest_code.S" -ljansson "$@"
