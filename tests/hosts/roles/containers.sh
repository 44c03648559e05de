#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Writes one nested guest's state, L2 in it, into $OUT in every container that this machine's QEMU and
# libvirt know. FILE.dev, or FILE.SNAPSHOT.dev, is the device state that QEMU gave at the same moment,
# with nothing run in between: what is read from FILE must be the same. A file without one was taken
# from a running guest.
#
# Environment: as in common.sh.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=libvirt.sh
. "$(dirname "$0")/libvirt.sh"
# shellcheck source=saving.sh
. "$(dirname "$0")/saving.sh"

destination_pid='' relay_pid=''
trap 'stop_destination; cleanup' EXIT

# A page is sent as a difference from the third pass over RAM on. None comes over a link so fast that what
# L2 has written meanwhile can wait for the end.
migrate_with_xbzrle() {
	local tries file=$WORK/xbzrle.qemu
	capability xbzrle true
	parameters '"downtime-limit":1,"max-bandwidth":200000'
	qmp migrate "{\"uri\":\"exec:cat >$file\"}" >/dev/null || fail "migrate"
	for ((tries = 0; tries < 50; tries++)); do
		qmp query-migrate >"$WORK/progress"
		jq -e '.return | .status == "completed" or ."xbzrle-cache".pages >= 5' "$WORK/progress" >/dev/null &&
			break
		sleep 0.1
	done
	parameters '"downtime-limit":300,"max-bandwidth":1000000000'
	qmp_migrated "$file" || fail "cannot write xbzrle.qemu"
	qmp query-migrate >"$WORK/progress"
	capability xbzrle false
	save_devices "$OUT/xbzrle.qemu.dev"
	cp "$file" "$OUT/"
	qmp cont >/dev/null
	jq -e '.return."xbzrle-cache".pages > 0' "$WORK/progress" >/dev/null && has_l2 "$OUT/xbzrle.qemu.dev"
}

migrate_with_bitmap() {
	qmp block-dirty-bitmap-add '{"node":"disk","name":"changes"}' >/dev/null || fail "no dirty bitmap"
	migrate_with dirty-bitmaps dirty-bitmaps.qemu
}

# The capability alone: QEMU waits for an answer that no file gives, but all is written.
migrate_with_postcopy_ram() {
	local tries file=$WORK/postcopy-ram.qemu size before=-1
	stop_in_l2 "$OUT/postcopy-ram.qemu.dev"
	capability postcopy-ram true
	qmp migrate "{\"uri\":\"exec:cat >$file\"}" >/dev/null || fail "migrate"
	for ((tries = 0; tries < 60; tries++)); do
		sleep 0.5
		size=$(stat -c %s "$file" 2>/dev/null || echo 0)
		[ "$size" = "$before" ] && [ "$(tail -c 1 "$file")" = "}" ] && break
		before=$size
	done
	[ $tries -lt 60 ] || fail "postcopy-ram.qemu is not finished"
	cp "$file" "$OUT/"
}

# The guest runs on while its memory, as it was, is written.
migrate_in_background() {
	capability background-snapshot true
	qmp_migrate "$WORK/background.qemu" || fail "cannot write background.qemu"
	capability background-snapshot false
	cp "$WORK/background.qemu" "$OUT/"
	has_l2 "$OUT/background.qemu"
}

save_with_one_guest() {
	local dir=$WORK/one
	qemu-img create -q -f qcow2 "$WORK/savevm.qcow2" 1M || fail "qemu-img"
	mapfile -t disk < <(disk_arguments "$WORK/savevm.qcow2")
	start_small_guest "$dir" "${disk[@]}"
	save_snapshots savevm.qcow2 one two
	again migrate_with_xbzrle
	migrate_with compress zlib.qemu
	migrate_with_bitmap
	again migrate_in_background
	migrate_with_postcopy_ram
	stop_guest
	cp "$WORK/savevm.qcow2" "$OUT/"
}

# Memory in a file that the destination is to map, a disk with other clusters.
save_with_shared_memory() {
	qemu-img create -q -f qcow2 -o cluster_size=16k,extended_l2=on "$WORK/subclusters.qcow2" 1M ||
		fail "qemu-img"
	mapfile -t disk < <(disk_arguments "$WORK/subclusters.qcow2")
	start_small_guest "$WORK/shared" "${disk[@]}" -machine memory-backend=ram \
		-object memory-backend-file,id=ram,size=16M,share=on,mem-path="$WORK/ram"
	save_snapshots subclusters.qcow2 only
	migrate_with x-ignore-shared ignore-shared.qemu
	stop_guest
	cp "$WORK/subclusters.qcow2" "$OUT/"
}

# start_destination DIR: waits for a guest on DIR/incoming; what comes is kept in DIR/captured.
start_destination() {
	start_unwatched "$1" -global migration.x-postcopy-ram=on -incoming "unix:$1/qemu"
	destination_pid=$unwatched_pid
	await_socket "$1/qemu" || fail "no destination: $(cat "$1/qemu.log")"
	socat -r "$1/captured" "UNIX-LISTEN:$1/incoming" "UNIX-CONNECT:$1/qemu" &
	relay_pid=$!
	await_socket "$1/incoming" || fail "no relay"
}

stop_destination() {
	[ -n "$relay_pid" ] || return 0
	kill $destination_pid $relay_pid 2>/dev/null
	wait $destination_pid $relay_pid 2>/dev/null
	destination_pid='' relay_pid=''
}

# The switch happens while most of memory is still at home: the device state travels as a package.
switch_over() {
	parameters '"max-bandwidth":20000'
	qmp migrate "{\"uri\":\"unix:$1/incoming\"}" >/dev/null || fail "migrate"
	sleep 0.5
	qmp migrate-start-postcopy >/dev/null || fail "migrate-start-postcopy"
	qmp_migrated "$1/captured"
}

capture_postcopy() {
	local dir=$WORK/destination
	rm -rf "$dir" "$WORK/source"
	start_small_guest "$WORK/source" -global migration.x-postcopy-ram=on
	start_destination "$dir"
	if ! switch_over "$dir"; then
		kill -KILL "$guest_pid"
		qmp_close
		stop_destination
		return 1
	fi
	qmp query-migrate >"$WORK/progress"
	save_devices "$OUT/postcopy.captured.dev"
	stop_guest
	wait_for_count "$dir" 5 60 || fail "L2 does not count on after postcopy"
	stop_destination
	cp "$dir/captured" "$OUT/postcopy.captured"
	jq -e '.return.ram."postcopy-bytes" > 0' "$WORK/progress" >/dev/null && has_l2 "$OUT/postcopy.captured.dev"
}

# again COMMAND...: what does not stop the guest first may find it in L1, or standing still; on a busy
# machine the two ends of a postcopy migration may wait for each other too long. All are rare.
again() {
	local tries
	for ((tries = 0; tries < 5; tries++)); do
		"$@" && return
	done
	fail "$*: never as it should be; see $WORK/progress: $(cat "$WORK/progress")"
}

# What libvirt does with one format: a file of memory, which is a bare stream, and a saved domain.
save_with_format() {
	libvirt_freeze "$OUT/dump.$1.dev"
	virsh_do "dump $GUEST $WORK/dump.$1" "resume $GUEST"
	sleep 0.3
	libvirt_freeze "$OUT/save.$1.dev"
	virsh_do "save $GUEST $WORK/save.$1"
	cp "$WORK/dump.$1" "$WORK/save.$1" "$OUT/"
}

restore_from() {
	: >"$GUEST_DIR/com1"
	virsh_do "restore $WORK/save.$1 --running"
	wait_for_count "$GUEST_DIR" 1 60 || fail "L2 does not count on after virsh restore of save.$1"
}

# One moment, inside the disk and beside it.
save_libvirt_snapshots() {
	libvirt_freeze "$OUT/memory-snapshot.raw.dev"
	cp "$OUT/memory-snapshot.raw.dev" "$OUT/libvirt.qcow2.inside.dev"
	virsh_do "snapshot-create-as $GUEST inside"
	cp "$GUEST_DIR/disk.qcow2" "$OUT/libvirt.qcow2"
	snapshot_memory memory-snapshot.raw
	virsh_do "resume $GUEST"
}

snapshot_memory() {
	local file=$1
	shift
	local memory="--memspec file=$WORK/$file,snapshot=external"
	virsh_do "snapshot-create-as $GUEST $file --diskspec vda,snapshot=no $memory $*" \
		"snapshot-delete $GUEST $file --metadata"
	cp "$WORK/$file" "$OUT/"
}

live_snapshot_of_memory() {
	rm -f "$WORK/memory-snapshot-live.lzop"
	snapshot_memory memory-snapshot-live.lzop --live
	saved_stream memory-snapshot-live.lzop | has_l2 -
}

managed_save() {
	virsh_do "managedsave $GUEST"
	cp "/var/lib/libvirt/qemu/save/$GUEST.save" "$OUT/managedsave.gzip"
	virsh_do "start $GUEST"
	saved_stream managedsave.gzip | has_l2 -
}

# saved_stream FILE: the QEMU stream in a compressed image of libvirt's, whose header says where it starts.
saved_stream() {
	local data
	data=$(od -An -tu4 -j 20 -N 4 "$OUT/$1")
	tail -c +$((92 + data + 1)) "$OUT/$1" | "${1##*.}" -dc
}

save_with_libvirt() {
	local format formats="raw gzip bzip2 xz lzop" before=''
	libvirt_prepare
	for format in $formats; do
		libvirt_stop
		libvirt_start "$format"
		if [ -z "$before" ]; then
			libvirt_define
			virsh_do "start $GUEST"
			wait_for_count "$GUEST_DIR" 3 60 || fail "L2 does not count under libvirt"
			save_libvirt_snapshots
		else
			restore_from "$before"
		fi
		[ "$format" != gzip ] || again managed_save
		[ "$format" != lzop ] || again live_snapshot_of_memory
		save_with_format "$format"
		before=$format
		echo "$SECONDS s: virsh dump and save in format $format"
	done
	libvirt_stop
}

save_versions() {
	{
		uname -srv
		qemu-system-x86_64 --version | head -n 1
		virsh version --daemon 2>/dev/null || virsh --version
		dpkg-query -W linux-image-amd64 qemu-system-x86 libvirt-daemon gzip bzip2 xz-utils lzop 2>/dev/null
	} >"$OUT/versions"
}

need qemu-system-x86_64 qemu-img socat jq libvirtd virsh gzip bzip2 xz lzop
save_versions
save_with_one_guest
echo "$SECONDS s: savevm and migrate, one guest"
save_with_shared_memory
again capture_postcopy
echo "$SECONDS s: shared memory, postcopy"
save_with_libvirt
chmod a+r "$OUT"/*.*
