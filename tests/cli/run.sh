#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD [--update] [NAME...]: the command line as its user sees it. A case is a pair of files
# in cases/: NAME.cmd, a comment and one line of bash, and NAME.out, its exit status, standard output
# and standard error, which must be the same to the byte. --update writes NAME.out instead.
#
# Every case runs in a directory of its own with fresh copies of the inputs, under relative names, so
# that what is expected does not depend on the machine.
set -uo pipefail

build=$(realpath "$1")
shift
update=false
[ "${1-}" != --update ] || { update=true; shift; }
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/bin" "$work/inputs" "$work/case"
ln -s "$build/cmd/nestmig" "$work/bin/nestmig"
ln -s "$build/tests/nestmig-poke" "$work/bin/poke"
export PATH=$work/bin:$PATH LC_ALL=C TZ=UTC TERM=xterm
unset NO_COLOR

# patch FILE OFFSET BYTE...: writes bytes, in hexadecimal, into a file.
patch() {
	local file=$1 offset=$2
	shift 2
	# shellcheck disable=SC2059 # the format is the bytes
	printf "$(printf '\\x%s' "$@")" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

# offset FILE FIELD: where a field stands in a file.
offset() {
	nestmig inspect --json --field "$2" "$1" | jq .offset
}

# save_image FORMAT STREAM [XML [COOKIE]]: a libvirt save image of a stream, to stdout. The writer is ours, after
# libvirt's virQEMUSaveDataWrite; the compressor is the program that libvirt runs. FORMAT: raw, gzip, ...,
# unfinished.
save_image() {
	local names=(raw gzip bzip2 xz lzop zstd sparse) xml=${3-<domain type=\'kvm\'/>} cookie=${4-}
	local magic=LibvirtQemudSave format=0 i at=0 length
	[ "$1" != unfinished ] || magic=LibvirtQemudPart
	for i in "${!names[@]}"; do [ "${names[i]}" != "$1" ] || format=$i; done
	length=$((${#xml} + 1 + 64))
	[ -z "$cookie" ] || { at=$((${#xml} + 1)); length=$((length + ${#cookie} + 1)); }
	printf %s $magic
	for i in 2 $length 1 "$format" $at; do
		# shellcheck disable=SC2059 # the format is the bytes
		printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((i & 255)) $((i >> 8 & 255)) $((i >> 16 & 255)) $((i >> 24)))"
	done
	head -c 56 /dev/zero
	printf '%s\0' "$xml"
	[ -z "$cookie" ] || printf '%s\0' "$cookie"
	head -c 64 /dev/zero
	case $1 in
	gzip | bzip2 | xz | lzop | zstd) "$1" -c <"$2" ;;
	*) cat "$2" ;;
	esac
}

# more_ram STREAM PAGES: the stream with so many pages of pc.ram more, in a part of RAM before the others, to
# stdout. The list of blocks ends with the end of a section and a footer, in which its id stands.
more_ram() {
	local list i
	list=$(grep -obUaPm 1 '\x00{7}\x10\x7e' "$1" | sed -n '1s/:.*//p')
	head -c $((list + 13)) "$1"
	printf '\x02'
	tail -c +$((list + 10)) "$1" | head -c 4
	printf '\0\0\0\0\0\0\x10\x08\x06pc.ram%4096s' ''
	for ((i = 1; i < $2; i++)); do printf '\0\0\0\0\0\0\x10\x28%4096s' ''; done
	printf '\0\0\0\0\0\0\0\x10\x7e'
	tail -c +$((list + 10)) "$1" | head -c 4
	tail -c +$((list + 14)) "$1"
}

# each ARGUMENT...: every subcommand with these arguments, and how it ends.
each() {
	local name
	for name in snapshot validate place inspect diff convert extract report restore migrate gate guard top hook host rules explain; do
		nestmig $name "$@"
		echo "exit status of $name: $?"
	done
}

# unprivileged COMMAND...: without any capability, also as root. BPF programs are never loaded here.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then setpriv --bounding-set=-all "$@"; else "$@"; fi
}

# container NAME...: unpacks what cases/containers has of this name.
container() {
	local name
	for name; do
		zstd -qdc "$CONTAINERS/$name.zst" >"$name"
	done
}
export CONTAINERS=$here/../cases/containers
export -f patch offset save_image more_ram each unprivileged container

make_inputs() {
	local name cases=$here/../cases
	for name in dev1 dev2 full1 l1only vmx1 vmxdev1 tcg-bitmaps tcg-ignore-shared tcg-no-footers tcg-no-vmdesc \
		tcg-return-path tcg-xbzrle; do
		zstd -qdc "$cases/streams/$name.qemu.zst" >"$work/inputs/$name.qemu" || return
	done
	cp "$here"/inputs/*.nms "$work/inputs" || return
	cp -r "$cases/raw-dump" "$work/inputs/raw1" && rm "$work/inputs/raw1/README.md" || return
	cp -r "$cases/smm-l2" "$work/inputs/smm" && rm "$work/inputs/smm/README.md" || return
	zstd -qd --rm "$work/inputs/smm/mem/0.zst" || return
	cp -r "$cases/raw-dump-vmx" "$work/inputs/vmx" && rm "$work/inputs/vmx/README.md" || return
	zstd -qd --rm "$work/inputs/vmx/mem/0.zst" || return
	zstd -qdc "$cases/qcow2/plain.qcow2.zst" >"$work/inputs/vm.qcow2" || return
	for name in svm vmx; do
		cp -r "$cases/cloud-hypervisor/$name" "$work/inputs/ch-$name" || return
		zstd -qd --rm "$work/inputs/ch-$name"/*.zst || return
	done
	cp -r "$cases/host-amd-6.1" "$work/inputs/host" || return
	cp "$cases/host-intel-6.1/expected.json" "$work/inputs/host-intel.json" || return
	mv "$work/inputs/host/expected.json" "$work/inputs/host.json" && rm "$work/inputs/host/expected.txt"
}

# run NAME: what the case does, in the form of NAME.out
run() {
	local status
	rm -rf "$work/case" && cp -r "$work/inputs" "$work/case" || return
	(cd "$work/case" && timeout 60 bash -c "$(cat "$here/cases/$1.cmd")") \
		>"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
	printf -- '--- exit status %d\n--- standard output\n' $status
	cat "$work/stdout"
	echo "--- standard error"
	cat "$work/stderr"
}

# The sandbox of what parses files cannot be seen from outside once it has ended: hold one up in the
# middle of its output. Sanitized builds have none.
sandbox() {
	local file files=() pid status i
	grep -q '^NESTMIG_SANITIZE:STRING=.' "$build/CMakeCache.txt" && return 0
	for ((i = 0; i < 300; i++)); do files+=("$work/inputs/dev1.qemu"); done
	mkfifo "$work/fifo"
	nestmig validate "${files[@]}" >"$work/fifo" &
	pid=$!
	exec {file}<"$work/fifo"
	for ((i = 0; i < 100; i++)); do
		status=$(grep -E '^(NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr -d '\t\n')
		[ "$status" != NoNewPrivs:1Seccomp:2 ] || break
		sleep 0.05
	done
	kill $pid
	wait $pid 2>/dev/null
	exec {file}<&-
	[ "$status" = NoNewPrivs:1Seccomp:2 ] || { echo "validate is not sandboxed: $status"; return 1; }
}

make_inputs || { echo "cannot make the inputs" >&2; exit 2; }
names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(cd "$here/cases" && printf '%s\n' *.cmd | sed 's/\.cmd$//')
failed=0
for name in "${names[@]}"; do
	run "$name" >"$work/out"
	if grep -aqE 'Sanitizer|runtime error:' "$work/stderr" ||
		[ "$(sed -n '1s/--- exit status //p' "$work/out")" -ge 124 ]; then
		echo "$name: crashed or hung:"
		cat "$work/out"
		failed=$((failed + 1))
	elif $update; then
		cmp -s "$work/out" "$here/cases/$name.out" || { echo "$name: new"; cp "$work/out" "$here/cases/$name.out"; }
	elif ! diff -a -u --label "$name: expected" --label "$name: got" "$here/cases/$name.out" "$work/out"; then
		failed=$((failed + 1))
	fi
done
sandbox || failed=$((failed + 1))
echo "${#names[@]} cases, $failed failed"
[ $failed = 0 ]
