#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh OUTPUT [LINKER ARGUMENTS]: builds guardvmm, with what rawdump consists of. Needs jansson.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh OUTPUT [LINKER ARGUMENTS]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
rawdump=$here/../rawdump
output=$1
shift
sources=$(printf '%s\n' "$rawdump"/rawdump_*.[cS])
# shellcheck disable=SC2086 # one word a file
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -I"$rawdump" -o "$output" \
	"$here/guardvmm.c" $sources -ljansson -lpthread "$@"
