# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Streams of any size for measurements (to be sourced, after build and stream, a genuine one, are set).

# full_stream MIB: a genuine stream with this much of pages in it. The list of blocks ends with an end of
# section and its footer; the first device of a q35 machine is "timer".
full_stream() {
	local list devices section
	list=$(grep -obUaPm 1 '\x00{7}\x10\x7e' "$stream" | sed -n '1s/:.*//p')
	devices=$(grep -obUaP '\x04\x00{3}.\x05timer' "$stream" | sed -n '1s/:.*//p')
	section=$(od -An -tu1 -j $((list + 9)) -N 4 "$stream" | awk '{print ($1 * 256 + $2) * 65536 + $3 * 256 + $4}')
	head -c $((list + 13)) "$stream"
	"$build/bench/bench-pages" "$section" "$1"
	tail -c +$((devices + 1)) "$stream"
}
