# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What both hosts of migrate.sh do (to be sourced, after apart.sh and libvirt.sh): a guest on each, at the same place.
#
# From the environment: KERNEL, the directory with the kernel's modules.

OTHER=10.99.0.2
QMP_PORT=4444
STREAM_PORT=4445

# ready_libvirt [hook]: the daemon runs, with nestmig's hook that refuses, and the guest's disk is there.
ready_libvirt() {
	libvirt_prepare
	if [ "${1:-}" = hook ]; then
		mkdir -p /etc/nestmig
		printf 'mode = enforce\ntimeout = 120\n' >/etc/nestmig/hook.conf
		quiet "$NESTMIG" hook install --program "$NESTMIG"
	fi
	libvirt_start raw
	qemu-img create -q -f qcow2 "$GUEST_DIR/disk.qcow2" 1M || fail "qemu-img"
}

# reload_kvm PARAMETERS: kvm_amd anew, with these. No VM may be there.
reload_kvm() {
	rmmod kvm_amd || fail "kvm_amd is in use"
	# shellcheck disable=SC2086 # one word a parameter
	insmod "$KERNEL/kvm-amd.ko" $1 || fail "kvm_amd does not load with $1"
}

# domain_state: running, paused, ..., or "none".
domain_state() {
	virsh_try "domstate $GUEST"
	echo "$said" | grep -xE 'running|paused|in shutdown|shut off|crashed|idle' || echo none
}

# start_qemu [QEMU ARGUMENTS]: what was there before is gone.
start_qemu() {
	end_qemu
	rm -f "$GUEST_DIR/qmp" "$GUEST_DIR/monitor"
	start_guest "$GUEST_DIR" -qmp "tcp:0.0.0.0:$QMP_PORT,server=on,wait=off" "$@"
}

end_qemu() {
	[ -n "$guest_pid" ] || return 0
	kill -9 "$guest_pid" 2>/dev/null
	wait "$guest_pid" 2>/dev/null
	qmp_close
	guest_pid=''
}

# The VM's status, or "gone".
qemu_status() {
	local status
	status=$(vm_status)
	echo "${status:-gone}"
}
