# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# libvirt's daemon and one nested guest under it (to be sourced by a role, after common.sh). Only in an
# emulated host: there /etc and /usr are written to, in the RAM disk above this machine's own.
#
# What the daemon needs beside its packages: the user that its QEMU driver looks up even if qemu.conf
# names another, and no cgroup, label or name space that the host cannot give.

# From the environment: GUEST_DIR, where the domain's files are; LIBVIRTD_OPTIONS, e.g. --listen.

GUEST=nested
GUEST_DIR=${GUEST_DIR:-$WORK/$GUEST}

# Drivers for what no domain here has: without them the daemon starts in a fifth of the time.
leave_out() {
	rm -f /usr/bin/qemu-system-i386 \
		/usr/lib/*/libvirt/connection-driver/libvirt_driver_{network,nodedev,nwfilter,interface,storage,secret}.so
}

# The machine's own domains are none of ours: empty directories hide them.
libvirt_prepare() {
	grep -q "^out $OUT 9p " /proc/mounts || fail "libvirt.sh is for emulated hosts"
	leave_out
	mkdir -p /etc/libvirt /var/lib/libvirt /run/libvirt "$GUEST_DIR"
	quiet mount -t tmpfs tmpfs /etc/libvirt
	quiet mount -t tmpfs tmpfs /var/lib/libvirt
	printf 'kvm:x:64054:\nlibvirt-qemu:x:64055:\n' >>/etc/group
	echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/bin/false' >>/etc/passwd
	printf '%s\n' 'auth_unix_rw = "none"' 'auth_unix_ro = "none"' \
		'auth_tcp = "none"' 'listen_tcp = 1' 'listen_tls = 0' \
		"log_outputs = \"3:file:$WORK/libvirtd.log\"" >/etc/libvirt/libvirtd.conf
}

# libvirt_start FORMAT: the daemon, whose images have FORMAT. It reads that once.
libvirt_start() {
	local tries
	printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'namespaces = []' \
		'cgroup_controllers = []' 'remember_owner = 0' 'stdio_handler = "file"' \
		'seccomp_sandbox = 0' "save_image_format = \"$1\"" "dump_image_format = \"$1\"" \
		"snapshot_image_format = \"$1\"" >/etc/libvirt/qemu.conf
	# shellcheck disable=SC2086 # one word an option
	libvirtd ${LIBVIRTD_OPTIONS:-} -d -p "$WORK/libvirtd.pid" || fail "libvirtd does not start"
	for ((tries = 0; tries < 100; tries++)); do
		if [ -S /run/libvirt/libvirt-sock ]; then
			virsh_open
			return
		fi
		sleep 0.1
	done
	fail "libvirtd does not listen: $(tail -n 5 "$WORK/libvirtd.log")"
}

# virsh_open: one virsh for many commands. It takes a second to start in an emulated host.
virsh_open() {
	coproc VIRSH { exec virsh -q 2>&1; }
	exec {virsh_from}<&"${VIRSH[0]}" {virsh_to}>&"${VIRSH[1]}"
}

virsh_close() {
	[ -n "${VIRSH_PID:-}" ] || return 0
	echo quit >&"$virsh_to"
	exec {virsh_from}<&- {virsh_to}>&-
	wait "$VIRSH_PID" 2>/dev/null
	return 0
}

# virsh_try COMMAND...: to that virsh, a line each; what it says is in $said. It repeats what it is told, so the end
# is marked by what only its echo makes of it; and shows that no sooner than it asks again.
virsh_try() {
	local line
	said=''
	printf '%s\n' "$@" "echo @'@'done" '' >&"$virsh_to" || fail "virsh is gone"
	while IFS= read -r -t 120 line <&"$virsh_from"; do
		case $line in
		*@@done*) break ;;
		esac
		said+=$line$'\n'
	done
	case $line in
	*@@done*) ;;
	*) fail "no answer of virsh to $*: $said" ;;
	esac
	case $said in
	*error:*) return 1 ;;
	esac
}

# The same; what it says is wanted only if one fails.
virsh_do() {
	virsh_try "$@" || fail "$*: $said$(tail -n 5 "$WORK/libvirtd.log")"
}

# Domains run on.
libvirt_stop() {
	local tries pid
	virsh_close
	pid=$(cat "$WORK/libvirtd.pid" 2>/dev/null) || return 0
	kill "$pid"
	for ((tries = 0; tries < 100; tries++)); do
		[ -e "/proc/$pid" ] || break
		sleep 0.1
	done
	rm -f /run/libvirt/libvirt-sock "$WORK/libvirtd.pid"
}

# The host's own model of CPU, so that an image's cookie names one; libvirt leaves SVM out of it.
domain_xml() {
	cat <<-END
		<domain type='kvm'>
		  <name>$GUEST</name>
		  <uuid>7d3dbd21-4d9f-4b8e-9d61-5b5f0a7d6f3c</uuid>
		  <memory unit='MiB'>16</memory>
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <loader type='rom'>/usr/share/qemu/qboot.rom</loader>
		    <kernel>$L1</kernel>
		  </os>
		  <features><acpi/><apic/></features>
		  <cpu mode='host-model'>
		    <feature policy='require' name='svm'/>
		    <feature policy='require' name='npt'/>
		  </cpu>
		  <devices>
		    <emulator>/usr/bin/qemu-system-x86_64</emulator>
		    <disk type='file' device='disk'>
		      <driver name='qemu' type='qcow2'/>
		      <source file='$GUEST_DIR/disk.qcow2'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		    <controller type='usb' model='none'/>
		    <serial type='file'><source path='$GUEST_DIR/com1'/><target port='0'/></serial>
		    <memballoon model='none'/>
		  </devices>
		</domain>
	END
}

libvirt_define() {
	qemu-img create -q -f qcow2 "$GUEST_DIR/disk.qcow2" 1M || fail "qemu-img"
	domain_xml >"$WORK/domain.xml"
	virsh_do "define $WORK/domain.xml"
}

# quiet COMMAND...: what it says is wanted only if it fails.
quiet() {
	"$@" >"$WORK/said" 2>&1 || fail "$*: $(cat "$WORK/said")"
}

# libvirt_freeze FILE: suspends the domain with L2 in it; FILE gets its device state at that moment.
libvirt_freeze() {
	local tries save
	save="{\"execute\":\"xen-save-devices-state\",\"arguments\":{\"filename\":\"$1\",\"live\":false}}"
	for ((tries = 0; tries < 20; tries++)); do
		rm -f "$1"
		virsh_do "suspend $GUEST" "qemu-monitor-command $GUEST '$save'"
		has_l2 "$1" && return
		virsh_do "resume $GUEST"
		sleep 0.1
	done
	fail "L2 was never running when the domain was suspended"
}
