# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two hosts, one script (to be sourced, after common.sh): A runs the test, B does what A tells it, in one shell
# that lives as long as the test. What A says is a line of shell.

# plug ADDRESS: socat between $plug_in, $plug_out and that address.
plug() {
	mkfifo "$WORK/plug-in" "$WORK/plug-out"
	socat - "$1" <"$WORK/plug-out" >"$WORK/plug-in" 2>"$WORK/plug.log" &
	exec {plug_out}>"$WORK/plug-out" {plug_in}<"$WORK/plug-in"
}

# On A: waits for B.
serve_b() {
	plug "TCP-LISTEN:$PORT,bind=$ADDRESS,reuseaddr"
	on_b true || fail "host B does not come"
}

# on_b LINE: B's shell executes it; prints what it says, has its exit status. What it says need not end with a line.
on_b() {
	local line rest
	printf '%s\n' "$1" >&"$plug_out" || fail "host B is gone"
	while IFS= read -r -t 240 line <&"$plug_in"; do
		case $line in
		*@@done*)
			rest=${line%@@done *}
			[ -z "$rest" ] || printf '%s\n' "$rest"
			return "${line##*@@done }"
			;;
		esac
		printf '%s\n' "$line"
	done
	fail "no answer of host B to: $1"
}

# On B: does as it is told until A hangs up. A command that fails the test ends this shell too, and says why.
obey_a() {
	local line status
	trap '[ ! -e "$WORK/told" ] || cat "$WORK/told"; cleanup' EXIT
	plug "TCP:$ADDRESS:$PORT,retry=480,interval=0.5"
	while IFS= read -r line <&"$plug_in"; do
		status=0
		eval "$line" >"$WORK/told" 2>&1 </dev/null || status=$?
		{
			cat "$WORK/told"
			echo "@@done $status"
		} >&"$plug_out"
		rm -f "$WORK/told"
	done
}
