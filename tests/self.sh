#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# self.sh BUILD: the rules that the project sets itself. Every command has a manual page, a help text,
# JSON and completion, and they name the same options; the library neither prints nor exits, and
# exports what its header declares and no more; files are not too long.
set -uo pipefail

build=$(realpath "$1")
cd "$(dirname "$0")/.."
nestmig=$build/cmd/nestmig
trouble=0

complain() {
	echo "$*"
	trouble=1
}

# The lines of a subcommand in the completion's case statement.
completion_of() {
	sed -n "/^\t$1)/,/;;/p" cmd/nestmig.bash
}

check_command() {
	local name=$1 page help option
	page=$(echo man/nestmig-"$1".[18].scd)
	[ -e "$page" ] || { complain "no manual page $page"; return; }
	help=$("$nestmig" "$name" --help) || complain "nestmig $name --help fails"
	for option in $(sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\).*/\2/p' <<<"$help"); do
		grep -q -- "\*$option\*" "$page" || complain "$page does not have $option"
		completion_of "$name" | grep -q -- "$option" ||
			complain "completion of $name does not have $option"
	done
	grep -q -- --json <<<"$help" || complain "nestmig $name has no --json"
}

commands=$("$nestmig" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || complain "nestmig --help lists no command"
for name in $commands; do
	check_command "$name"
	[ -e "cmd/$name.c" ] || complain "no cmd/$name.c"
done

for library in nestmig qmp; do
	printing=$(nm -u "$build/lib/lib$library.a" |
		grep -wE 'U (__)?(v?f?printf(_chk)?|puts|fputs|putchar|exit|_exit|abort|perror|stdout|stderr)')
	[ -z "$printing" ] || complain "lib$library prints or exits:" $printing
done
exported=$(nm -D --defined-only "$build/lib/libnestmig.so" | awk '$2 == "T" {sub(/@.*/, "", $3); print $3}' | sort)
declared=$(sed -n 's/^[^/*#].*\b\(nestmig_[a-z_]*\)(.*/\1/p; s/^\t*\(nestmig_[a-z_]*\)(.*/\1/p' lib/nestmig.h | sort -u)
[ "$exported" = "$declared" ] ||
	complain "exported and declared differ:" "$(diff <(echo "$exported") <(echo "$declared"))"

# sources PATTERN...: the project's files of these names. The tree need not be a git checkout.
sources() {
	local name
	for name in "$@"; do
		find . -path ./build -prune -o -name "$name" -type f -print
	done
}

long=$(sources '*.[ch]' '*.sh' '*.def' | xargs wc -l | awk '$2 != "total" && $1 > 700 {print $2 ": " $1 " lines"}' |
	grep -v rules.def)
[ -z "$long" ] || complain "too long: $long"
spdx=$(sources '*.[chS]' '*.def' '*.sh' | xargs grep -L SPDX-License-Identifier)
[ -z "$spdx" ] || complain "no licence named in:" $spdx
exit $trouble
