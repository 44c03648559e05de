#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# libvirt's daemon with nestmig's hook. Environment: as in common.sh; NESTMIG_POKE; TESTS, which of the functions
# test_NAME. $OUT gets what went to the journal.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=libvirt.sh
. "$(dirname "$0")/libvirt.sh"

failed=0
ok() { echo "ok: $*"; }
bad() {
	echo "NOT OK: $*"
	failed=$((failed + 1))
}

# expect WHAT COMMAND...
expect() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else bad "$what"; fi
}

HOOK=/etc/libvirt/hooks/qemu.d/50-nestmig
OTHER=/etc/libvirt/hooks/qemu.d/10-other
SAVED=/var/lib/libvirt/qemu/save/$GUEST.save

# policy MODE [LINE...]
policy() {
	mkdir -p /etc/nestmig
	printf '%s\n' "mode = $1" 'timeout = 120' "${@:2}" >/etc/nestmig/hook.conf
}

# What is told goes where journald would listen.
start_journal() {
	mkdir -p /run/systemd/journal
	socat -u UNIX-RECV:/run/systemd/journal/socket "OPEN:$WORK/journal,creat,append" &
	await_file /run/systemd/journal/socket || fail "nobody listens for journald"
}

await_file() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[ ! -e "$1" ] || return 0
		sleep 0.1
	done
	return 1
}

# journal_has FROM WORD...: lines from that byte on that have all of the words
journal_has() {
	local lines word
	lines=$(tail -c +$(($1 + 1)) "$WORK/journal" | tr -d '\0' | grep -a '^MESSAGE=')
	shift
	for word; do lines=$(grep -aF -- "$word" <<<"$lines"); done
	[ -n "$lines" ]
}

lacks() {
	! journal_has "$@"
}

not() {
	! "$@"
}

journal_size() {
	stat -c %s "$WORK/journal" 2>/dev/null || echo 0
}

install_hook() {
	mkdir -p "$(dirname "$HOOK")"
	# shellcheck disable=SC2016 # for that shell
	printf '%s\n' '#!/bin/sh' "echo \"\$2 \$3\" >>$WORK/other" 'exit 0' >"$OTHER"
	chmod 755 "$OTHER"
	cp "$OTHER" "$WORK/other-before"
	"$NESTMIG" hook install --program "$NESTMIG" || fail "hook install"
	expect "it is installed and current" [ "$("$NESTMIG" hook status --json |
		jq -c '[.installed, .current, .reload]')" = '[true,true,false]' ]
}

# count_on WHAT FROM
counts_on() {
	wait_for_count "$GUEST_DIR" $(($2 + 3)) 120
	expect "$1: L2 counts on after $2: $(last_count "$GUEST_DIR/com1")" [ $? = 0 ]
}

# The domain runs, L2 counts.
need_guest() {
	case $(virsh -q domstate "$GUEST") in
	running) ;;
	*)
		rm -f "$SAVED"
		: >"$GUEST_DIR/com1"
		virsh_do "start $GUEST"
		;;
	esac
	wait_for_count "$GUEST_DIR" 3 120 || fail "L2 does not count under libvirt"
}

# saved_in_l2 COMMAND FILE: until L2 is in the image.
saved_in_l2() {
	local tries
	for ((tries = 0; tries < 10; tries++)); do
		virsh_do "$1"
		has_l2 "$2" && return
		virsh_do "${3:-start $GUEST}"
		sleep 1
	done
	fail "L2 was never running when the domain was saved"
}

# broken_copy IMAGE COPY FIELD VALUE: of a raw save image, whose stream is changed.
broken_copy() {
	local at
	at=$(grep -obUaPm 1 'QEVM\x00\x00\x00\x03' "$1" | sed -n '1s/:.*//p')
	tail -c +$((at + 1)) "$1" >"$WORK/stream"
	"$NESTMIG_POKE" "$WORK/stream" "$WORK/stream.bad" "$3" "$4" || fail "cannot change $3"
	{ head -c "$at" "$1" && cat "$WORK/stream.bad"; } >"$2"
	rm "$WORK/stream" "$WORK/stream.bad"
}

# ---- Tests ----------------------------------------------------------------------------------------

test_good() {
	local last from
	policy enforce
	need_guest
	from=$(journal_size)
	saved_in_l2 "managedsave $GUEST" "$SAVED"
	last=$(last_count "$GUEST_DIR/com1")
	: >"$GUEST_DIR/com1"
	virsh_do "start $GUEST"
	counts_on "managed save and start under enforce" "$last"
	expect "it was judged" journal_has "$from" "$GUEST: restore" "$SAVED"
	expect "nothing was refused" lacks "$from" refused
	from=$(journal_size)
	last=$(last_count "$GUEST_DIR/com1")
	virsh_do "save $GUEST $WORK/one.image"
	last=$(last_count "$GUEST_DIR/com1")
	: >"$GUEST_DIR/com1"
	virsh_do "restore $WORK/one.image"
	counts_on "save and restore of a file under enforce" "$last"
	expect "the file was found and judged" journal_has "$from" "$GUEST: restore" "$WORK/one.image"
	expect "the other hook was called" grep -qx "restore begin" "$WORK/other"
}

# refused WHAT FILE COMMAND...
refused() {
	local what=$1 file=$2 from status
	shift 2
	from=$(journal_size)
	virsh -q "$@" >"$WORK/said" 2>&1
	status=$?
	expect "$what: virsh fails: $(grep -a -m 1 error: "$WORK/said" | tail -c 300)" [ $status != 0 ]
	expect "$what: virsh says why" grep -aq svm-ctl-asid-zero "$WORK/said"
	expect "$what: the journal says why" journal_has "$from" "restore refused" svm-ctl-asid-zero "$file"
	expect "$what: the file is still there" [ -s "$file" ]
	expect "$what: no guest runs" [ "$(virsh -q domstate "$GUEST")" = "shut off" ]
}

test_broken() {
	local from
	policy enforce
	need_guest
	saved_in_l2 "managedsave $GUEST" "$SAVED"
	cp "$SAVED" "$WORK/good.image"
	broken_copy "$WORK/good.image" "$WORK/bad.image" vcpu0.vmcb12.control.asid 0
	cat "$WORK/bad.image" >"$SAVED"
	refused "a managed save with ASID 0" "$SAVED" start "$GUEST"
	expect "its image is kept" [ "$SAVED" -ef "$SAVED.nestmig-1" ]
	cp "$SAVED" "$WORK/elsewhere.image"
	rm "$SAVED" "$SAVED.nestmig-1"
	refused "a file with ASID 0" "$WORK/elsewhere.image" restore "$WORK/elsewhere.image"

	# Audit tells and lets it pass; what QEMU then makes of it is KVM's.
	policy audit
	from=$(journal_size)
	virsh -q restore "$WORK/elsewhere.image" >"$WORK/said" 2>&1
	expect "audit tells" journal_has "$from" "restore let-pass" svm-ctl-asid-zero
	expect "audit refuses nothing: $(tail -c 200 "$WORK/said")" not grep -q nestmig: "$WORK/said"
	virsh -q destroy "$GUEST" >/dev/null 2>&1

	# With an error in the policy, too.
	policy enforce 'mode = enforce'
	from=$(journal_size)
	virsh -q restore "$WORK/elsewhere.image" >/dev/null 2>&1
	expect "a broken policy is told" journal_has "$from" "hook.conf: line 3: mode is there twice"
	expect "a broken policy refuses nothing" journal_has "$from" "restore let-pass" svm-ctl-asid-zero
	virsh -q destroy "$GUEST" >/dev/null 2>&1

	policy enforce
	: >"$GUEST_DIR/com1"
	virsh_do "restore $WORK/good.image"
	wait_for_count "$GUEST_DIR" 1 120
	expect "the good image is restored afterwards" [ $? = 0 ]
}

# A guest whose hook fails is killed then.
test_reconnect() {
	local pid last tries
	policy enforce 'strict = yes'
	need_guest
	pid=$(cat /run/libvirt/qemu/"$GUEST".pid)
	: >"$WORK/other"
	libvirt_stop
	libvirt_start raw
	last=$(last_count "$GUEST_DIR/com1")
	# It listens before it has looked for its guests.
	for ((tries = 0; tries < 300; tries++)); do
		! grep -qx "reconnect begin" "$WORK/other" || break
		sleep 0.1
	done
	expect "a daemon that starts again calls the hooks" grep -qx "reconnect begin" "$WORK/other"
	expect "its guest runs on" [ -e "/proc/$pid" ]
	expect "the daemon knows it" [ "$(virsh -q domstate "$GUEST")" = running ]
	counts_on "after reconnect" "$last"
	mv "$HOOK" "$WORK/hook"
	sed 's,^program=.*,program=/nowhere/nestmig,' "$WORK/hook" >"$HOOK"
	chmod 755 "$HOOK"
	saved_in_l2 "managedsave $GUEST" "$SAVED"
	: >"$GUEST_DIR/com1"
	virsh_do "start $GUEST"
	wait_for_count "$GUEST_DIR" 1 120
	expect "without the program all passes" [ $? = 0 ]
	mv "$WORK/hook" "$HOOK"
}

# `nestmig snapshot --domain` and `nestmig restore --domain`.
test_domain() {
	local last status
	policy enforce
	need_guest
	"$NESTMIG" snapshot --json --domain "$GUEST" "$WORK/domain.image" >"$WORK/said" 2>"$WORK/trouble" ||
		bad "snapshot --domain: $(cat "$WORK/trouble")"
	last=$(last_count "$GUEST_DIR/com1")
	expect "snapshot --domain judges the image: $(jq -c '[.kind, .status, .report.verdict]' "$WORK/said")" \
		[ "$(jq -c '[.kind, .status]' "$WORK/said")" = '["libvirt-save","shut off"]' ]
	broken_copy "$WORK/domain.image" "$WORK/domain.bad" vcpu0.vmcb12.control.asid 0
	if has_l2 "$WORK/domain.image"; then
		"$NESTMIG" restore --domain "$GUEST" "$WORK/domain.bad" >"$WORK/said" 2>&1
		status=$?
		expect "restore --domain refuses what would not resume" [ $status = 1 ]
		expect "and says why" grep -q svm-ctl-asid-zero "$WORK/said"
		expect "no guest runs" [ "$(virsh -q domstate "$GUEST")" = "shut off" ]
	fi
	: >"$GUEST_DIR/com1"
	"$NESTMIG" restore --json --domain "$GUEST" "$WORK/domain.image" >"$WORK/said" 2>"$WORK/trouble" ||
		bad "restore --domain: $(cat "$WORK/trouble")"
	expect "restore --domain restores it" [ "$(jq -c '[.restored, .status]' "$WORK/said")" = '[true,"running"]' ]
	counts_on "after restore --domain" "$last"
}

# ---- All ------------------------------------------------------------------------------------------

libvirt_prepare
start_journal
policy audit
install_hook
libvirt_start raw
libvirt_define
for part in $TESTS; do
	"test_$part"
	echo "$SECONDS s: $part"
done
virsh -q destroy "$GUEST" >/dev/null 2>&1
expect "the other hook is as it was" cmp "$OTHER" "$WORK/other-before"
"$NESTMIG" hook remove || bad "hook remove"
expect "the hook is gone, the other is not" [ ! -e "$HOOK" -a -e "$OTHER" ]
libvirt_stop
cp "$WORK/journal" "$OUT/journal"
tr -d '\0' <"$WORK/journal" | grep -a '^MESSAGE=' | tail -n 40
kill %1 2>/dev/null
[ $failed = 0 ] || fail "$failed checks"
echo "hook: passed in $SECONDS s"
