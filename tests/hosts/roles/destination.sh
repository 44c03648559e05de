#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The host that a nested guest comes to: judges the snapshot for this host, restores it, watches
# L2 count on. Then breaks the state in ways that matter and compares what nestmig foretells with
# what KVM really does. BROKEN=0 leaves that out.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=broken.sh
. "$(dirname "$0")/broken.sh"

fetch() {
	mkdir "$WORK/ship"
	# A snapshot is there once the source serves it: try again until then.
	timeout 480 socat -u "TCP:$ADDRESS:$PORT,retry=960,interval=0.5" STDOUT |
		tar -C "$WORK/ship" -x || fail "cannot fetch the snapshot from $ADDRESS port $PORT"
}

# A source that ran on after its snapshot was taken counted some numbers a second time.
check_first_count() {
	local first before after
	first=$(sed -n 's/^L2 cpu[01] count \([0-9]\{8\}\)$/\1/p' "$WORK/guest/com$1" | head -n 1)
	first=$((10#${first:-0}))
	before=$(cut -d ' ' -f "$1" "$WORK/ship/before")
	after=$(cut -d ' ' -f "$1" "$WORK/ship/after")
	[ "$first" -gt "$before" ] && [ "$first" -le $((after + 1)) ] ||
		echo "first count here is $first, the source was between $before and $after"
}

check_continues() {
	local port trouble=
	for ((port = 1; port <= CPUS; port++)); do
		if [ -e "$WORK/ship/ran-on" ]; then
			trouble=$(check_first_count $port)
		else
			trouble=$(cat "$WORK/ship/com$port" "$WORK/guest/com$port" | check_sequence $((port - 1)))
		fi
		[ -z "$trouble" ] || fail "cpu$((port - 1)) of L2 does not count on: $trouble"
	done
}

highest() {
	tr ' ' '\n' <"$1" | sort -n | tail -n 1
}

need qemu-system-x86_64 socat jq tar awk
"$NESTMIG" host --save "$WORK/host.json" || fail "nestmig host: exit status $?"
cp "$WORK/host.json" "$OUT/"
echo "this host's profile is taken; waiting for the snapshot"
fetch
echo "snapshot fetched, $(stat -c %s "$WORK/ship/guest.nms") bytes"
"$NESTMIG" validate "$WORK/ship/guest.nms" --host "$WORK/host.json" >"$OUT/validate$CPUS.txt" ||
	fail "nestmig validate finds fault with a sound guest: exit status $?" \
		"$(head -n 20 "$OUT/validate$CPUS.txt")"
echo "nestmig validate: nothing found for this host"

start_guest "$WORK/guest" -incoming defer
"$NESTMIG" restore "$WORK/ship/guest.nms" --qmp "$WORK/guest/qmp" >"$OUT/restore$CPUS.txt" 2>&1 ||
	fail "nestmig restore: exit status $? $(tail -n 20 "$OUT/restore$CPUS.txt")"
last=$(highest "$WORK/ship/after")
wait_for_count "$WORK/guest" $((last + 10)) 60 ||
	fail "L2 does not count on after $last: $(vm_status), $(tail -n 1 "$WORK/guest/com1")"
check_continues
echo "RESUMED: L2 stood at $(cat "$WORK/ship/after")and counts on here, now at" \
	"$(counts "$WORK/guest")with no number missing or repeated"
stop_guest
[ "${BROKEN:-1}" = 0 ] || try_broken_variants
