#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# nestmig guard and nestmig top on this machine's KVM. Environment: as for common.sh, GUARDVMM, OCCUPY, FOREIGN (a host
# profile of the other vendor), TESTS (which of the functions test_NAME).
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need bpftool jq strace
# shellcheck source=guarding.sh
. "$(dirname "${BASH_SOURCE[0]}")/guarding.sh"
export PATH=$PATH:/usr/sbin
mkdir -p /tmp/guard && cd /tmp/guard || exit 2
runner=''

# ends STATUS COMMAND...: the command ends with this status; its output to said and errors
ends() {
	local wanted=$1 status
	shift
	"$@" >said 2>errors
	status=$?
	[ $status = "$wanted" ] || { echo "status $status:" && cat said errors && return 1; }
}

# all NAME EXPRESSION: jq finds it true of the documents of a file, taken together
all() {
	jq -es "$2" "$OUT/$1" >/dev/null || { cat "$OUT/$1" && return 1; }
}

# Programs, maps and links by kind and name; numbers go up.
kernel_objects() {
	local kind
	for kind in prog map link; do
		bpftool -j $kind list | jq -r ".[] | \"$kind \(.type) \(.name // .prog_id // .target_name)\""
	done | sort
}

# The kernel frees after a grace period.
is_as_before() {
	local tries
	for ((tries = 0; tries < 40; tries++)); do
		diff before <(kernel_objects) >difference && return
		sleep 0.5
	done
	cat difference
	return 1
}

# start NAME ARGUMENT...: nestmig guard run in the background, until it is attached; events to $OUT/NAME
start() {
	local name=$1 tries
	shift
	"$NESTMIG" guard run "$@" >"$OUT/$name" 2>"$OUT/$name.err" &
	runner=$!
	for ((tries = 0; tries < 2000; tries++)); do
		grep -q '^nestmig guard: mode' "$OUT/$name.err" && return
		kill -0 $runner 2>/dev/null || break
		sleep 0.2
	done
	cat "$OUT/$name.err"
	return 1
}

# finish: SIGTERM; the status of run
finish() {
	kill -TERM $runner
	wait $runner
}

write_cases() {
	cat >asid.cases <<-'EOF'
		case good
		case asid-0
		poke vcpu0/nested_state 216 00000000
	EOF
	# KVM takes this, and L1 gets VMEXIT_INVALID.
	cat >run.cases <<-'EOF'
		case cs-l-and-d
		poke vcpu0/sregs2 17 01
	EOF
	cat >l1.cases <<-'EOF'
		case asid-0
		poke mem/0 20568 00000000
	EOF
	"$RAWDUMP" save long-np base && "$RAWDUMP" save l1-long-np l1base
}

asid_zero() {
	"${1:-$RAWDUMP}" batch base asid.cases 1 >outcome 2>&1
}

long_and_wide() {
	"$RAWDUMP" batch base run.cases 1 >outcome 2>&1
}

# KVM would run it
is_refused() {
	long_and_wide
	grep -qE "^cs-l-and-d outcome run-error EINVAL( #|$)" outcome || { cat outcome && return 1; }
}

test_not_installed() {
	expect "status of nothing: 1" ends 1 "$NESTMIG" guard status --json
	expect "which says so" jq -e '.loaded == false' said
	expect "remove of nothing: 2" ends 2 "$NESTMIG" guard remove
	expect "no privilege: 2" ends 2 setpriv --bounding-set=-all "$NESTMIG" guard run
	expect "no privilege for top: 2" ends 2 setpriv --bounding-set=-all "$NESTMIG" top -n 1
}

test_enforce() {
	expect "run in mode enforce" start enforce --mode enforce --json --metrics /tmp/guard/metrics
	asid_zero
	expect "ASID 0 is refused" grep -qx "asid-0 outcome ioctl-rejected KVM_SET_NESTED_STATE EINVAL" outcome
	expect "a good state is not" grep -q "^good outcome resumes" outcome
	cp "$RAWDUMP" $'/tmp/guard/e\033[31mvil'
	asid_zero $'/tmp/guard/e\033[31mvil'
	"$RAWDUMP" batch l1base l1.cases 1 >outcome 2>&1
	expect "SIGTERM ends it with 0" finish
	expect "the denied ioctl is told" all enforce 'any(.[]; .schema == "nestmig.guard-event/1" and
		.event == "denied" and .action == "denied" and .ioctl == "KVM_SET_NESTED_STATE" and
		.vmm == "rawdump" and .vcpu == 0 and any(.rules[]; .id == "svm-ctl-asid-zero" and (.title | length > 10)) and
		.values["vmcb12.control.asid"] == "0x0")'
	expect "a hostile name steers no terminal" all enforce 'any(.[]; .vmm == "e?[31mvil")'
	expect "L1's VMRUN that fails is told" all enforce 'any(.[]; .event == "vmexit-invalid" and
		.action == "reported" and [.rules[].id] == ["svm-ctl-asid-zero"] and (.l1.exit_code | length > 3))'
	expect "the time is today's" [ "$(jq -r '.time[:10]' "$OUT/enforce" | sort -u)" = "$(date -u +%F)" ]
	cp metrics "$OUT/metrics"
	expect "metrics: two ioctls denied" grep -qx 'nestmig_guard_denied_total{ioctl="KVM_SET_NESTED_STATE"} 2' metrics
	expect "metrics: by rule" grep -qx 'nestmig_guard_rule_broken_total{rule="svm-ctl-asid-zero"} 2' metrics
	expect "metrics: whole" [ "$(tail -n 1 metrics)" = "# EOF" ]
	expect "nothing is left of it" is_as_before
}

test_audit() {
	expect "run in mode audit" start audit
	asid_zero
	expect "ASID 0 is not refused by the guard" grep -q "^asid-0 outcome" outcome
	expect "SIGTERM ends it" finish
	expect "it is told that it would be" grep -q ' would-deny rawdump (PID .* KVM_SET_NESTED_STATE would fail' "$OUT/audit"
	expect "with the rule" grep -q '^  error svm-ctl-asid-zero$' "$OUT/audit"
	expect "and the value" grep -q '^      vmcb12.control.asid = 0x0' "$OUT/audit"
}

test_rate() {
	expect "run with a rate" start rate --json --mode enforce --rate 1 --metrics /tmp/guard/metrics
	"$GUARDVMM" stuffed base >outcome 2>&1
	finish
	cp metrics "$OUT/rate.metrics"
	expect "a VM's second event is suppressed and counted" awk -v told="$(wc -l <"$OUT/rate")" '
		/^nestmig_guard_events_total/ { events += $2 }
		/^nestmig_guard_suppressed_total/ { suppressed = $2 }
		END { print told, "told,", suppressed, "suppressed"; exit !(suppressed > 0 && events == told + suppressed) }' metrics
}

test_killed() {
	expect "run again" start killed --mode enforce
	kill -9 $runner
	wait $runner 2>/dev/null
	expect "killed, its programs go" is_as_before
	asid_zero
	expect "and nothing is refused by them" grep -q "^good outcome resumes" outcome
}

denied() {
	"$NESTMIG" guard status --json | jq '.counters.denied | add'
}

test_installed() {
	expect "install" ends 0 "$NESTMIG" guard install --mode enforce
	expect "install once more: 2" ends 2 "$NESTMIG" guard install
	asid_zero
	expect "it refuses" grep -qx "asid-0 outcome ioctl-rejected KVM_SET_NESTED_STATE EINVAL" outcome
	expect "status: 0" ends 0 "$NESTMIG" guard status --json --metrics /tmp/guard/status.metrics
	cp said "$OUT/status.json"
	expect "it counts" all status.json '.[0] | .loaded and .mode == "enforce" and .lsm and
		.counters.denied.KVM_SET_NESTED_STATE == 1 and (.counters.checks | add) >= 2 and .rules["svm-ctl-asid-zero"] == 1 and (.programs | length) > 5 and .not_attached == [] and
		any(.programs[]; .name == "nm_guard_ioctl" and .function == "file_ioctl")'
	expect "in metrics too" grep -qx 'nestmig_guard_denied_total{ioctl="KVM_SET_NESTED_STATE"} 1' status.metrics
	"$NESTMIG" guard status >"$OUT/status.text"
	expect "run with another mode: 2" ends 2 "$NESTMIG" guard run --mode audit
	expect "run reads its events" start installed --json
	asid_zero
	sleep 1
	kill -9 $runner
	wait $runner 2>/dev/null
	expect "which were there" all installed 'length == 2 and all(.[]; .event == "denied")'
	expect "it is installed still" [ "$(denied)" = 2 ]
	expect "remove" ends 0 "$NESTMIG" guard remove
	expect "nothing is left of it" is_as_before
	expect "status: 1" ends 1 "$NESTMIG" guard status
	asid_zero
	expect "nothing is refused by it any more" grep -q "^asid-0 outcome" outcome
}

# holding FILE COMMAND...: runs it until release, and waits for what it says first, in FILE.
holding() {
	local file=$1 tries
	shift
	rm -f hold
	mkfifo hold
	"$@" <hold >"$file" 2>&1 &
	held=$!
	exec {hold}>hold
	for ((tries = 0; tries < 150; tries++)); do
		[ ! -s "$file" ] || break
		sleep 0.2
	done
}

release() {
	exec {hold}>&-
	wait "$held"
}

# A vCPU that an ioctl takes out of L2, without a nested exit.
left_l2() {
	holding left "$GUARDVMM" left base
	expect "L2 is left by an ioctl" grep -qx left left
	"$NESTMIG" top -d 2 -n 1 --json >"$OUT/top.left" 2>&1
	expect "top has it in L1 from then on" all top.left '.[0].vcpus | length == 1 and (.[0] | .mode == "L1" and
		.l2_share == 0)'
	release
}

# Of an installed guard, which has seen the guest from its first entry on.
test_top() {
	expect "install, for top" ends 0 "$NESTMIG" guard install
	start_guest "$WORK/guest"
	expect "a nested guest counts under the guard" wait_for_count "$WORK/guest" 2 120
	"$NESTMIG" top -d 3 -n 2 --json >"$OUT/top" 2>&1
	expect "top has its vCPU" all top 'length == 2 and all(.[]; .schema == "nestmig.top/1" and
		(.vcpus | length) == 1) and (.[1].vcpus[0] | .vmm[:12] == "qemu-system-" and .vcpu == 0 and
		.entries_per_s > 0 and .exits_per_s > 0 and .l2_share > 0 and .l2_share <= 1)'
	"$NESTMIG" top -d 2 >"$OUT/top.text" 2>&1
	cat "$OUT/top.text"
	expect "in 80 columns" awk 'length > 80 { exit 1 } END { exit NR != 3 }' "$OUT/top.text"
	stop_guest
	left_l2
	expect "remove, after top" ends 0 "$NESTMIG" guard remove
	expect "top by itself" ends 0 "$NESTMIG" top -d 1 --json
	expect "sees no vCPU" jq -e '.vcpus == []' said
	expect "nothing is left of top" is_as_before
}

# What it asks of the kernel, for guard-cli.sh: the service allows no more.
test_confined() {
	strace -qq -f -o "$OUT/trace" setpriv --no-new-privs --bounding-set=-all,+bpf,+perfmon,+sys_admin \
		"$NESTMIG" guard run --json --metrics /tmp/guard/metrics >said 2>errors &
	local tracer=$! tries
	for ((tries = 0; tries < 2000; tries++)); do
		grep -q '^nestmig guard: mode' errors && break
		sleep 0.2
	done
	pkill -TERM -P $tracer -x nestmig || pkill -TERM -x nestmig
	wait $tracer
	expect "it runs with the service's capabilities" [ $? = 0 ]
	awk '/execve\(.*nestmig/ { on = 1 } on' "$OUT/trace" | sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' | sort -u >"$OUT/calls"
	rm "$OUT/trace"
}

# Beside a guest that has run before: what only counts is loaded soon.
test_top_beside() {
	local begin
	start_guest "$WORK/guest"
	expect "a nested guest counts" wait_for_count "$WORK/guest" 2 120
	begin=$(cut -d. -f1 /proc/uptime)
	"$NESTMIG" top -d 3 -n 1 --json >"$OUT/top.beside" 2>&1
	echo "top by itself, with 3 s to look: $(($(cut -d. -f1 /proc/uptime) - begin)) s"
	expect "top by itself sees its vCPU" all top.beside '.[0].vcpus | length == 1 and (.[0] | .entries_per_s > 0 and
		.l2_share > 0 and .smm_share == 0)'
	stop_guest
	expect "nothing is left of top beside a guest" is_as_before
}

# In a host whose kernel has no BPF LSM.
test_nolsm() {
	expect "BPF is no LSM here" grep -qv bpf /sys/kernel/security/lsm
	expect "mode enforce: 2" ends 2 "$NESTMIG" guard run --mode enforce
	expect "which says why, and what to do" grep -q 'nothing can be denied here: "bpf" is not among .*boot with lsm=' errors
	expect "the same as JSON" ends 2 "$NESTMIG" guard install --mode enforce --json
	expect "is one document" jq -e '.schema and (.message | test("bpf"))' said
	expect "nothing is installed" ends 1 "$NESTMIG" guard status
	expect "run in mode audit" start nolsm --json
	expect "it says what it cannot do" grep -q 'mode audit, .*nothing can be denied here: no BPF LSM' "$OUT/nolsm.err"
	asid_zero
	expect "a good state resumes" grep -q "^good outcome resumes" outcome
	long_and_wide
	expect "a bad one runs, too" grep -q "^cs-l-and-d outcome svm-exit-err" outcome
	"$RAWDUMP" batch l1base l1.cases 1 >outcome 2>&1
	expect "SIGTERM ends it" finish
	expect "what KVM_RUN meets is told by other means" all nolsm 'any(.[]; .event == "would-deny" and
		.ioctl == "KVM_RUN" and any(.rules[]; .id == "svm-l2-csld"))'
	expect "L1's VMRUN that fails is told" all nolsm 'any(.[]; .event == "vmexit-invalid" and
		[.rules[].id] == ["svm-ctl-asid-zero"])'
	expect "nothing is left of it" is_as_before
}

test_host() {
	expect "a profile of this host" ends 0 "$NESTMIG" host --save profile.json
	expect "run with it" start host --host profile.json --mode enforce --json
	expect "it denies by it" is_refused
	finish
	expect "a profile of the other vendor's host: 2" ends 2 "$NESTMIG" guard run --host "$FOREIGN"
	expect "which says so" grep -q 'host profile is one of kvm_intel, which is not loaded here' errors
	echo '{' >broken.json
	expect "a broken profile: 2" ends 2 "$NESTMIG" guard run --host broken.json
	expect "no profile: 2" ends 2 "$NESTMIG" guard run --host /nonexistent
	expect "nothing is left of them" is_as_before
}

# A function of the kernel takes 38 programs (BPF_MAX_TRAMP_LINKS, 6.1): with so many of others the guard's do not fit.
test_best_effort() {
	holding occupied "$OCCUPY" nested_svm_vmexit 38
	expect "others have taken all the room" grep -qx '38 programs at nested_svm_vmexit' occupied
	expect "without room for a program: 2" ends 2 "$NESTMIG" guard run --mode enforce
	expect "which names it" grep -q 'program nm_guard_[a-z_]*: cannot attach it to [a-z_]*: ' errors
	expect "install neither" ends 2 "$NESTMIG" guard install
	expect "and leaves nothing half installed" ends 1 "$NESTMIG" guard status
	expect "best effort: install" ends 0 "$NESTMIG" guard install --mode enforce --best-effort
	cp errors "$OUT/best-effort.errors"
	expect "which says what is missing" grep -q 'without program nm_guard_svm_exited, which this kernel does not take' errors
	asid_zero
	expect "status: 1" ends 1 "$NESTMIG" guard status --json
	cp said "$OUT/best-effort.json"
	expect "what is there denies" all best-effort.json '.[0].counters.denied.KVM_SET_NESTED_STATE == 1'
	expect "it names what is missing" all best-effort.json '.[0] | .loaded and
		any(.not_attached[]; . == "nm_guard_svm_exited") and all(.not_attached[]; . != "nm_guard_ioctl")'
	expect "remove, after best effort" ends 0 "$NESTMIG" guard remove
	release
	expect "nothing is left of all that" is_as_before
}

# systemd does not speak with a process that its PID namespace does not have; $first is systemd.
systemctl() {
	nsenter --target "$first" --mount --pid --root systemctl "$@"
}

journalctl() {
	nsenter --target "$first" --mount --pid --root journalctl "$@"
}

# fields NAME EXPRESSION: jq finds it true of the journal's entries with NESTMIG_EVENT
fields() {
	journalctl --sync 2>/dev/null
	journalctl -o json NESTMIG_EVENT="$1" >"$OUT/journal.$1" 2>&1
	jq -es "$2" "$OUT/journal.$1" >/dev/null || { cat "$OUT/journal.$1" && return 1; }
}

# systemd as the first process of a PID namespace, with as little as the service needs.
start_systemd() {
	local tries
	# A role is in a chroot, which systemctl would leave alone.
	export SYSTEMD_IGNORE_CHROOT=1
	mkdir -p /run/systemd/system
	# The service has a /tmp of its own, and no /home: what it runs must not be there.
	cp "$NESTMIG" /usr/bin/nestmig
	sed "s|^ExecStart=[^ ]*|ExecStart=/usr/bin/nestmig|; s|^ExecStart=.*|& --mode enforce|" "$SERVICE" \
		>/run/systemd/system/nestmig-guard.service
	printf '[Unit]\nRequires=systemd-journald.service\nAllowIsolate=yes\n' >/run/systemd/system/nestmig-test.target
	# It would empty /tmp.
	ln -s /dev/null /run/systemd/system/systemd-tmpfiles-setup.service
	unshare --pid --fork --mount --mount-proc --propagation unchanged env -i container=chroot PATH="$PATH" \
		/lib/systemd/systemd --system --unit=nestmig-test.target >"$OUT/systemd" 2>&1 &
	systemd=$!
	for ((tries = 0; tries < 60; tries++)); do
		first=$(pgrep -P $systemd)
		[ -n "$first" ] && systemctl is-active -q systemd-journald 2>/dev/null && return
		sleep 1
	done
	cat "$OUT/systemd"
	return 1
}

test_service() {
	local systemd first
	expect "systemd runs here" start_systemd
	expect "the service starts as it is written" ends 0 systemctl start nestmig-guard
	cat errors
	expect "it is active" systemctl is-active -q nestmig-guard
	expect "it refuses" is_refused
	sleep 1
	expect "the event is in the journal, with its fields" fields denied 'length >= 1 and all(.[];
		.NESTMIG_RULE == "svm-l2-csld" and .NESTMIG_VCPU == "0" and (.NESTMIG_VM | tonumber) > 0 and
		(.NESTMIG_VM_PID | tonumber) > 0 and .PRIORITY == "4" and ._SYSTEMD_UNIT == "nestmig-guard.service" and
		(.MESSAGE | startswith("denied: rawdump (PID ")))'
	expect "the counters are where the manual says" grep -q '^nestmig_guard_enforcing 1' /run/nestmig/guard.prom
	expect "stop" ends 0 systemctl stop nestmig-guard
	expect "it ended well" [ "$(systemctl show -P Result nestmig-guard)" = success ]
	systemctl kill -s KILL --kill-who=all 2>/dev/null
	kill -RTMIN+4 $systemd 2>/dev/null
	systemctl exit 0 2>/dev/null
	expect "nothing is left of the service" no_programs
}

# systemd has programs of its own.
no_programs() {
	local tries
	for ((tries = 0; tries < 40; tries++)); do
		bpftool prog list | grep -q nm_guard || return 0
		sleep 0.5
	done
	return 1
}

# The last: the module does not come back.
test_unloaded() {
	rmmod kvm_amd
	expect "without a KVM module: 2" ends 2 "$NESTMIG" guard run
	expect "which says so" grep -q 'this machine has no KVM (/dev/kvm: .*); load kvm_amd or kvm_intel' errors
	cat errors
}

kernel_objects >before
write_cases >/dev/null
for part in $TESTS; do
	"test_$part"
done
exit $((failures != 0))
