#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Writes what the readers are tested with into $OUT, all of it genuine: QEMU streams of nested
# guests with one and two vCPUs and of one that is not nested, a raw KVM dump, this host's files,
# QEMU's answers about a vCPU. Environment: as in common.sh, and RAWDUMP.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

save_answers() {
	local path property command
	path=$(qmp query-cpus-fast | jq -r '.return[0]["qom-path"]')
	for property in feature-words phys-bits type vendor family model; do
		echo "# qom-get $path $property"
		qmp qom-get "{\"path\":\"$path\",\"property\":\"$property\"}"
	done
	for command in query-version query-status query-migrate; do
		echo "# $command"
		qmp $command
	done
}

save_streams() {
	local dir=$WORK/guest$CPUS
	start_guest "$dir"
	wait_for_count "$dir" 5 90 || fail "L2 does not count: $(tail -n 1 "$dir/com1")"
	[ "$CPUS" != 1 ] || save_answers >"$OUT/qom.txt"
	stop_in_l2 "$WORK/dev$CPUS.qemu"
	qmp cont >/dev/null
	qmp_migrate "$WORK/full$CPUS.qemu" || fail "cannot write the stream full$CPUS.qemu"
	stop_guest
	cp "$WORK/dev$CPUS.qemu" "$WORK/full$CPUS.qemu" "$OUT/"
}

# The firmware, and no SVM.
save_plain_stream() {
	L1='' start_guest "$WORK/plain"
	sleep 2
	qmp stop >/dev/null
	save_devices "$WORK/l1only.qemu"
	stop_guest
	cp "$WORK/l1only.qemu" "$OUT/"
}

save_host_files() {
	local file
	rm -rf "$OUT/hostinfo"
	for file in /proc/version /proc/cpuinfo /proc/sys/kernel/osrelease \
		/sys/module/kvm/parameters/* /sys/module/kvm_amd/parameters/*; do
		mkdir -p "$OUT/hostinfo$(dirname "$file")"
		cat "$file" >"$OUT/hostinfo$file" || fail "cannot copy $file"
	done
	"$RAWDUMP" host "$OUT/hostinfo/kvm" || fail "cannot ask KVM about this host"
}

save_raw_dump() {
	rm -rf "$OUT/raw1"
	"$RAWDUMP" save "$OUT/raw1" || fail "cannot make a raw dump"
	[ "$("$RAWDUMP" run "$OUT/raw1")" = "outcome resumes" ] ||
		fail "the raw dump does not resume on the KVM that made it"
}

need qemu-system-x86_64 socat jq
for CPUS in 1 2; do
	save_streams
done
CPUS=1
save_plain_stream
save_host_files
save_raw_dump
echo "streams, raw dump and host files are written"
