# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two hosts, one script (to be sourced, after common.sh): A runs the test, B does what A tells it, in one shell
# that lives as long as the test. What A says is a line of shell.

# On A: waits for B.
serve_b() {
	coproc CABLE { exec socat - "TCP-LISTEN:$PORT,bind=$ADDRESS,reuseaddr" 2>&1; }
	exec {from_b}<&"${CABLE[0]}" {to_b}>&"${CABLE[1]}"
	on_b true || fail "host B does not come"
}

# on_b LINE: B's shell executes it; prints what it says, has its exit status.
on_b() {
	local line
	printf '%s\n' "$1" >&"$to_b" || fail "host B is gone"
	while IFS= read -r -t 240 line <&"$from_b"; do
		case $line in
		@@done*) return "${line#@@done }" ;;
		esac
		printf '%s\n' "$line"
	done
	fail "no answer of host B to: $1"
}

# On B: does as it is told until A hangs up. A command that fails the test ends this shell too.
obey_a() {
	local line status
	coproc CABLE { exec socat - "TCP:$ADDRESS:$PORT,retry=480,interval=0.5" 2>&1; }
	exec {from_a}<&"${CABLE[0]}" {to_a}>&"${CABLE[1]}"
	while IFS= read -r line <&"$from_a"; do
		status=0
		eval "$line" >"$WORK/told" 2>&1 </dev/null || status=$?
		{
			cat "$WORK/told"
			echo "@@done $status"
		} >&"$to_a"
	done
}
