#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# containers.sh BUILD DIR [PATTERN]: what hosts/containers.sh and hosts/newer.sh made, in DIR, as nestmig reads
# it: in each container L2 on its vCPU, nothing broken, and each field the same as in the device state that QEMU gave
# at that moment. Files may be packed with zstd (cases/containers). PATTERN: only those, e.g. 'save.*'. What
# a newer QEMU made begins with its version.
set -uo pipefail

nestmig=$1/cmd/nestmig dir=$2 pattern=${3:-*}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trouble=0 count=0

# FILE[:SNAPSHOT], what validate calls it, the device state of that moment or, after "~", one of the same
# guest at another.
table="
savevm.qcow2:one          qcow2-snapshot savevm.qcow2.one.dev
savevm.qcow2:two          qcow2-snapshot savevm.qcow2.two.dev
subclusters.qcow2:only    qcow2-snapshot subclusters.qcow2.only.dev
libvirt.qcow2:inside      qcow2-snapshot libvirt.qcow2.inside.dev
xbzrle.qemu               qemu-stream    xbzrle.qemu.dev
zlib.qemu                 qemu-stream    zlib.qemu.dev
dirty-bitmaps.qemu        qemu-stream    dirty-bitmaps.qemu.dev
postcopy-ram.qemu         qemu-stream    postcopy-ram.qemu.dev
postcopy.captured         qemu-stream    postcopy.captured.dev
ignore-shared.qemu        qemu-stream    ignore-shared.qemu.dev
background.qemu           qemu-stream    ~zlib.qemu.dev
save.raw                  libvirt-save   save.raw.dev
save.gzip                 libvirt-save   save.gzip.dev
save.bzip2                libvirt-save   save.bzip2.dev
save.xz                   libvirt-save   save.xz.dev
save.lzop                 libvirt-save   save.lzop.dev
dump.raw                  qemu-stream    dump.raw.dev
dump.gzip                 qemu-stream    dump.gzip.dev
dump.bzip2                qemu-stream    dump.bzip2.dev
dump.xz                   qemu-stream    dump.xz.dev
dump.lzop                 qemu-stream    dump.lzop.dev
managedsave.gzip          libvirt-save   ~save.raw.dev
memory-snapshot.raw       libvirt-save   memory-snapshot.raw.dev
memory-snapshot-live.lzop libvirt-save   ~save.raw.dev
10.0-savevm.qcow2:one     qcow2-snapshot 10.0-savevm.qcow2.one.dev
10.0-stream.qemu          qemu-stream    10.0-stream.qemu.dev
10.0-mapped-ram.qemu      qemu-stream    10.0-mapped-ram.qemu.dev
10.0-multifd.qemu         qemu-stream    10.0-multifd.qemu.dev
"

complain() {
	echo "$*"
	trouble=1
	return 1
}

# unpacked FILE: its path in $path, unpacked if need be.
unpacked() {
	path=$dir/$1
	[ ! -e "$path" ] || return 0
	path=$work/$1
	[ -e "$path" ] || zstd -qd "$dir/$1.zst" -o "$path" || complain "$dir has neither $1 nor $1.zst"
}

# state ARGUMENTS: mode and fields of every vCPU, without the offsets, sorted.
state() {
	"$nestmig" inspect --json "$@" | jq -S '.vcpus | map({mode, fields: (.fields | map_values(.value))})'
}

# differences REFERENCE FILTER: of what the device state has; the container may know more.
differences() {
	jq -n -r --slurpfile file "$work/file" --slurpfile reference "$1" '
		($file[0] | length) as $vcpus | ($reference[0] | length) as $wanted |
		if $vcpus != $wanted then "\($vcpus) vCPUs, not \($wanted)" else
			range($vcpus) | . as $i | $reference[0][$i].fields | to_entries[] | select(.key | '"$2"') |
			select($file[0][$i].fields[.key] != .value) |
			"\(.key) is \($file[0][$i].fields[.key]), not \(.value)" end'
}

# same REFERENCE: of a guest that ran on only what L1 sets up once.
same() {
	local reference=$1 filter=true found
	[ "${reference#\~}" = "$reference" ] || filter='test("^vmcb12\\.(control|save)\\.") and (test("exit_") | not)'
	reference=${reference#\~}
	unpacked "$reference" || return
	state "$path" >"$work/reference"
	[ "$(jq '[.[].fields | keys[] | select('"$filter"')] | length' "$work/reference")" -gt 20 ] ||
		complain "$reference has hardly a field"
	found=$(differences "$work/reference" "$filter") || complain "$file: cannot compare"
	[ -z "$found" ] && return
	complain "$file differs from $reference:" "$found"
	return 1
}

# nothing_broken FORMAT ARGUMENTS
nothing_broken() {
	local format=$1
	shift
	"$nestmig" validate --json "$@" >"$work/report" || complain "$*: exit status $?"
	jq -e --arg format "$format" '.format == $format and .verdict != "fail" and
		(.vcpus | length > 0 and all(.mode == "L2" and .nested and .outcome == "resumes" and
		.findings == []))' "$work/report" >/dev/null || complain "$*: $(cat "$work/report")"
}

check() {
	local file=$1 format=$2 reference=$3 arguments=()
	count=$((count + 1))
	case $file in
	*:*) arguments=(--snapshot "${file#*:}") ;;
	esac
	unpacked "${file%:*}" || return
	arguments+=("$path")
	nothing_broken "$format" "${arguments[@]}"
	state "${arguments[@]}" >"$work/file" || complain "$file: inspect fails"
	same "$reference" && echo "$file: $format, the same as $reference"
}

# same_page FILE REFERENCE: L1's first page of code, which nobody writes, where RAM has its own layout.
same_page() {
	local file
	for file; do
		unpacked "$file" || return
		"$nestmig" extract --page 0x100000 -f -o "$work/$file.page" "$path" || complain "$file: no page" || return
	done
	[ "$(tr -d '\0' <"$work/$1.page" | wc -c)" -gt 100 ] || complain "$1: an empty page" || return
	cmp "$work/$1.page" "$work/$2.page" || complain "$1 does not have the page of $2"
}

while read -r file format reference; do
	# shellcheck disable=SC2053 # a pattern
	[ -z "$file" ] || [[ $file != $pattern ]] || check "$file" "$format" "$reference"
done <<<"$table"
# shellcheck disable=SC2053 # a pattern
for file in 10.0-mapped-ram.qemu 10.0-multifd.qemu; do
	[[ $file != $pattern ]] || same_page $file 10.0-stream.qemu
done
[ $count -gt 0 ] || complain "nothing is called $pattern"
echo "$count containers, $(grep -cv '^$' <<<"$table") known"
exit $trouble
