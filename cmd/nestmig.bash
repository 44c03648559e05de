# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of nestmig(1) for bash.
_nestmig() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} options
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "snapshot validate place inspect diff convert extract report restore migrate gate guard top hook host rules explain \
			--help --version" -- "$current")
		return
	fi
	case ${COMP_WORDS[1]} in
	snapshot) options="--qmp --domain --connect --state-only --resume --host --level --timeout --json --help" ;;
	validate) options="--host --order --snapshot --strict --skip-ram --quick --jobs --files-from --json --help" ;;
	place) options="--hosts --order --snapshot --strict --skip-ram --quick --jobs --files-from --json --help" ;;
	inspect) options="--field --raw --smram --xml --fields --vcpu --snapshot --skip-ram --jobs --files-from --json --help" ;;
	diff) options="--host --all --skip-ram --quick --json --help" ;;
	convert) options="--to --memory --snapshot --force --skip-ram --json --help" ;;
	extract) options="--blob --item --page --stream --vcpu --output --snapshot --force --skip-ram --json --help" ;;
	report) options="--output --host --order --strict --skip-ram --quick --json --help" ;;
	restore) options="--qmp --domain --connect --host --snapshot --force --strict --watch --timeout --json --help" ;;
	gate) options="--listen --connect --host --strict --one-way --once --keep --timeout --json --help" ;;
	migrate) options="--qmp --dest-qmp --dest --listen --domain --connect --dest-connect --migrate-uri --managed --unsafe --monitor \
		--host --force --strict --paused --no-preflight --multifd --bandwidth --downtime --timeout --json --help" ;;
	guard)
		options="--mode --host --best-effort --rate --metrics --json --help"
		[[ $current = -* ]] || case $previous in
		--mode | -m) options="audit enforce" ;;
		--host | -H | --metrics | -M | --rate | -r) options= ;;
		*) options="run install status remove" ;;
		esac
		;;
	top) options="--delay --count --json --help" ;;
	host)
		options="--root --format --save --all --strict --json --help"
		if [ "$previous" = --format ] || [ "$previous" = -f ]; then
			mapfile -t COMPREPLY < <(compgen -W "text json openmetrics nfd nova" -- "$current")
			return
		fi
		if [ "$COMP_CWORD" = 2 ] && [[ $current != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "diff advisories" -- "$current")
			return
		fi
		;;
	hook)
		options="--root --program --host --json --help"
		[[ $current = -* ]] || case $previous in
		--root | --program | --host | -H) options= ;;
		*) options="install remove status run" ;;
		esac
		;;
	rules) options="--json --help" ;;
	explain)
		options="--json --help"
		[[ $current = -* ]] || options=$(nestmig rules --json 2>/dev/null |
			sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
		;;
	esac
	if [ "$previous" = --order ] || [[ "${COMP_WORDS[1]} $previous" = @(validate|place)" -o" ]]; then
		mapfile -t COMPREPLY < <(compgen -W "qemu selftests" -- "$current")
		return
	fi
	if [ "${COMP_WORDS[1]}" = convert ] && { [ "$previous" = --to ] || [ "$previous" = -t ]; }; then
		mapfile -t COMPREPLY < <(compgen -W "nms raw-dump" -- "$current")
		return
	fi
	if [ "$previous" = --field ] || [ "$previous" = -f ]; then
		options=$(nestmig inspect --fields 2>/dev/null)
	elif [[ $current != -* ]] && [ "${COMP_WORDS[1]}" != explain ] &&
		{ [[ ${COMP_WORDS[1]} != @(guard|hook) ]] || [ -z "$options" ]; }; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -o filenames -F _nestmig nestmig
