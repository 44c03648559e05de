#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sandbox.sh BUILD: what a parser that has been taken over can do. Every command that reads saved states
# is run by nestmig-exploited, which tries to open other files, make sockets, start programs and more
# just before the first byte is read: all of it must be denied, and the file still be read. snapshot and restore
# do that beside real QEMUs under TCG. Where this kernel has no Landlock, the same runs in an emulated host,
# whose kernel has.
set -euo pipefail

build=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
exploited=$build/tests/nestmig-exploited
[ -x "$exploited" ] || { echo "no $exploited" >&2; exit 2; }
work=$(mktemp -d)
machines=()
trap 'kill -9 "${machines[@]}" 2>/dev/null; rm -rf "$work"' EXIT
trouble=0

complain() {
	echo "$*"
	trouble=1
}

# In the same sandbox, but nothing here feeds them: a stream that passes by, an image that libvirt has open, profiles.
untried="gate hook host"

# The arguments of each command that enters the sandbox; files are named without a directory.
arguments() {
	case $1 in
	validate) echo "--host none" ;;
	inspect) ;;
	diff) echo "full1.qemu" ;;
	convert) echo "--to nms out/result" ;;
	extract) echo "--item regs -o out/result" ;;
	report) echo "-o out/result" ;;
	snapshot) echo "--host none --qmp ../source.qmp" ;;
	restore) echo "--host none --watch 0 --qmp ../target.qmp" ;;
	place) echo "--hosts hosts" ;;
	migrate) echo "--host hosts/amd.json --qmp ../mover.qmp --dest-qmp ../destination.qmp" ;;
	*) return 1 ;;
	esac
}

# run COMMAND FILE [OPTION]: output in $work/out and $work/attacks, exit status in $status
run() {
	local command=$1 file=$2
	local -a more
	read -ra more <<<"$(arguments "$command") ${3-}"
	rm -rf "$work/case" && cp -r "$work/inputs" "$work/case"
	status=0
	(cd "$work/case" && env ${environment-} timeout 60 "$exploited" "$command" "$file" "${more[@]}") \
		>"$work/out" 2>"$work/attacks" </dev/null || status=$?
}

count() {
	grep -c "$@" "$work/attacks" || true
}

confined() {
	local what="$*" expected
	run "$@"
	[ "$(count '^attack ')" -ge 34 ] || complain "$what: not all attacks were tried: $(cat "$work/attacks")"
	expected=$(count '^attack .*: denied$')
	[ "$(count '^attack ')" = "$expected" ] ||
		complain "$what: not denied: $(grep '^attack ' "$work/attacks" | grep -v ': denied$')"
	[ "$status" -le 1 ] || complain "$what: exit status $status, the file was not read: $(tail -n 1 "$work/attacks")"
	[ -s "$work/case/neighbour" ] && [ -e "$work/case/spare" ] && [ ! -e "$work/case/created" ] ||
		complain "$what: files were changed"
	echo "$what: $expected attacks denied, exit status $status"
}

# The attempts can succeed: without the sandbox they do.
unconfined() {
	local name
	environment=UNCONFINED=1 run "$1" "$2"
	for name in open-passwd open-neighbour list-root create-file write-input make-directory rename remove \
		unix-socket fork map-executable memfd; do
		grep -qx "attack $name: SUCCEEDED" "$work/attacks" || complain "without a sandbox, $name fails too"
	done
	[ "$(count ': denied$')" -le 12 ] || complain "without a sandbox much is denied: $(cat "$work/attacks")"
	[ -e "$work/case/created" ] || complain "without a sandbox no file was created"
	echo "$1 $2 without the sandbox: $(count ': SUCCEEDED$') attacks succeed"
}

# machine NAME [OPTION...]: a QEMU that stands still, with the socket $work/NAME.qmp.
machine() {
	local name=$1 i
	shift
	qemu-system-x86_64 -accel tcg -M q35 -m 32 -nodefaults -display none -S \
		-qmp "unix:$work/$name.qmp,server=on,wait=off" "$@" 2>"$work/$name.stderr" &
	machines+=($!)
	disown
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$work/$name.qmp" ] || return 0
		sleep 0.1
	done
	complain "no QEMU: $(<"$work/$name.stderr")"
}

# The device state or the stream of a guest in QEMU's hands, and a file that goes to QEMU.
confined_live() {
	local snapshot=$work/inputs/vm.nms
	machine source
	confined snapshot out/state.nms --state-only
	confined snapshot out/vm.nms
	cp "$work/case/out/vm.nms" "$snapshot" || { complain "snapshot: nothing was saved"; return; }
	machine target -incoming defer
	confined restore vm.nms
	grep -q '^vm.nms: restored, the VM is ' "$work/out" || complain "restore: $(<"$work/out")"
	rm "$snapshot"
	machine mover
	machine destination -incoming defer
	confined migrate --no-preflight
	[ "$(count '^profile: hosts/amd.json$')" = 1 ] || complain "migrate: nothing was tried by who reads the profile"
}

# A file that crashes the parser costs itself alone.
crashes() {
	local lines i names=()
	for ((i = 0; i < 100; i++)); do
		names+=("$i.qemu")
		ln "$work/inputs/full1.qemu" "$work/inputs/$i.qemu"
	done
	environment=FATAL=41.qemu run validate 0.qemu "--json --jobs 3 ${names[*]:1}"
	[ "$status" = 2 ] || complain "a crash: exit status $status"
	lines=$(jq -c 'if .error then [.file, .error, .message] else empty end' "$work/out")
	[ "$lines" = '["41.qemu","io","the process that reads was ended by signal 4 (Illegal instruction)"]' ] ||
		complain "a crash: $lines"
	jq -r .file "$work/out" | cmp -s - <(printf '%s\n' "${names[@]}") || complain "a crash: not all files in their order"
	[ "$(jq -r 'select(.verdict == "ok" or .verdict == "unknown") | .file' "$work/out" | wc -l)" = 99 ] ||
		complain "a crash: not all others were judged"
	(cd "$work/inputs" && rm "${names[@]}")
	echo "a file that crashes the parser does not keep it from the others"
}

make_inputs() {
	mkdir -p "$work/inputs/out"
	zstd -qdc "$here/cases/streams/full1.qemu.zst" >"$work/inputs/full1.qemu"
	cp -r "$here/cases/raw-dump" "$work/inputs/raw1"
	mkdir "$work/inputs/hosts"
	"$build/cmd/nestmig" host --root "$here/cases/host-amd-6.1" --save "$work/inputs/hosts/amd.json"
	echo private >"$work/inputs/neighbour"
	touch "$work/inputs/spare"
}

# A link in a named directory leads nowhere else: it is not even followed.
links() {
	rm -rf "$work/case" && cp -r "$work/inputs" "$work/case"
	ln -sf ../../../outside/sregs "$work/case/raw1/vcpu0/sregs"
	mkdir -p "$work/outside" && cp "$here/cases/raw-dump/vcpu0/sregs" "$work/outside"
	if (cd "$work/case" && "$build/cmd/nestmig" validate --host none raw1) >"$work/out" 2>&1; then
		complain "a link out of a raw dump was followed"
	elif ! grep -q 'is a symbolic link' "$work/out"; then
		complain "a link out of a raw dump: $(cat "$work/out")"
	else
		echo "a link out of a raw dump is not followed"
	fi
}

main() {
	local command tried=0
	make_inputs
	unconfined validate full1.qemu
	for command in $("$build/cmd/nestmig" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		grep -qE 'sandbox_enter|enter_sandbox' "$here/../cmd/$command"{,_*}.c 2>/dev/null || continue
		[[ " $untried " != *" $command "* ]] || continue
		arguments "$command" >/dev/null || { complain "no arguments for $command are known here"; continue; }
		tried=$((tried + 1))
		[[ " snapshot restore migrate " != *" $command "* ]] || continue
		confined "$command" full1.qemu
		confined "$command" raw1
	done
	confined_live
	confined validate full1.qemu "--jobs 2 raw1"
	crashes
	[ $tried -ge 10 ] || complain "only $tried commands have a sandbox"
	links
	exit $trouble
}

if grep -q '^NESTMIG_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
	echo "builds with sanitizers have no sandbox" >&2
	exit 2
fi
has_landlock=$("$exploited" validate /dev/null 2>&1 || true)
if [ -n "${INSIDE-}" ] || grep -qx 'landlock: yes' <<<"$has_landlock"; then
	main
fi
echo "This kernel has no Landlock; an emulated host has:"
printf '#!/bin/bash\nINSIDE=1 exec %q %q\n' "$here/sandbox.sh" "$build" >"$work/job"
chmod +x "$work/job"
"$here/hosts/host.sh" run sandbox "$work/job" "$work/host" --keep "$build"
exit
