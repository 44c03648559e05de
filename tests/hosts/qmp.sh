# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# QEMU's machine protocol for shell scripts (to be sourced). One connection at a time.
# Needs socat and jq.

# qmp_open SOCKET: connect, wait for QEMU to make the socket first.
qmp_open() {
	local tries
	for ((tries = 0; tries < 150; tries++)); do
		[ -S "$1" ] && break
		sleep 0.2
	done
	coproc QMP { exec socat - "UNIX-CONNECT:$1" 2>/dev/null; }
	# A pipeline's subshell keeps these copies, but not the coprocess's own descriptors.
	exec {qmp_from}<&"${QMP[0]}" {qmp_to}>&"${QMP[1]}"
	qmp_reply >/dev/null || return
	qmp qmp_capabilities >/dev/null
}

qmp_close() {
	[ -n "${QMP_PID:-}" ] || return 0
	exec {qmp_from}<&- {qmp_to}>&-
	kill "$QMP_PID" 2>/dev/null
	wait "$QMP_PID" 2>/dev/null
	return 0
}

# Prints the next line that is a greeting or an answer; events pass by.
qmp_reply() {
	local line
	while IFS= read -r -t 60 line <&"$qmp_from"; do
		case $line in
		*'"event":'*) continue ;;
		esac
		printf '%s\n' "$line"
		case $line in
		'{"error"'*) return 1 ;;
		esac
		return 0
	done
	echo "qmp: no answer" >&2
	return 1
}

# qmp COMMAND [JSON ARGUMENTS]: prints QEMU's reply; fails if it is an error.
qmp() {
	printf '{"execute":"%s","arguments":%s}\n' "$1" "${2:-{\}}" >&"$qmp_to" || return
	qmp_reply
}

# qmp_migrate FILE: write the whole stream and wait for its end.
qmp_migrate() {
	qmp migrate "{\"uri\":\"exec:cat >$1\"}" >/dev/null && qmp_migrated "$1"
}

# qmp_migrated WHERE: wait for the end of a migration.
qmp_migrated() {
	local tries status
	for ((tries = 0; tries < 600; tries++)); do
		status=$(qmp query-migrate | jq -r .return.status)
		case $status in
		completed) return 0 ;;
		failed | cancelled | '') break ;;
		esac
		sleep 0.1
	done
	echo "qmp: migration into $1 is $status" >&2
	return 1
}
