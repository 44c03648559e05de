# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Packages of another suite of Debian (to be sourced by newer.sh and kernel.sh): apt with lists of its own, so that
# this machine's sources stay what they are.

# apt_of_suite DIR SUITE apt-get|apt-cache ARGUMENT...: with the lists in DIR.
apt_of_suite() {
	local dir=$1 suite=$2 program=$3
	shift 3
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	: >"$dir/status"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\n' \
		bookworm "$suite" >"$dir/sources"
	"$program" -o Dir::Etc::SourceList="$dir/sources" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status" \
		-o APT::Default-Release="$suite" -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives" \
		-o APT::Sandbox::User=root "$@"
}
