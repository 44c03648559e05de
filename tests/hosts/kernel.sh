# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Debian's kernel for the emulated hosts (to be sourced by host.sh and intel.sh): downloaded and
# unpacked into a cache, never installed.
#
# Environment: NESTMIG_HOST_CACHE, where it is kept (default build/hosts in the work tree).

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
cache=${NESTMIG_HOST_CACHE:-$tree/build/hosts}

# In the order in which they are inserted, so that no dependency has to be resolved inside.
AMD_MODULES="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
	netfs fscache 9pnet 9p 9pnet_virtio overlay
	failover net_failover virtio_net llc stp bridge tun
	irqbypass kvm ccp kvm-amd"
INTEL_MODULES="scsi_common scsi_mod libata ata_piix crct10dif_common crc-t10dif crc64 crc64-rocksoft
	t10-pi sd_mod irqbypass kvm kvm-intel"

die() {
	echo "$(basename "$0"): $*" >&2
	exit 125
}

need() {
	local program
	for program; do
		command -v "$program" >/dev/null || die "$program is not installed: see tests/hosts/README.md"
	done
}

# What the cache holds: the package, and which modules of it.
wanted_kernel() {
	local package
	package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$package" ] || die "apt knows no linux-image-amd64: run apt-get update"
	echo "$package"
	# shellcheck disable=SC2086 # one word a module
	printf '%s\n' $AMD_MODULES $INTEL_MODULES | sort -u
}

unpack_kernel() {
	local wanted package file modules new=$cache/kernel.new
	need apt-cache apt-get dpkg-deb tar
	wanted=$(wanted_kernel) || exit
	[ "$(cat "$cache/kernel/package" "$cache/kernel/modules" 2>/dev/null)" = "$wanted" ] && return
	package=${wanted%%$'\n'*} modules=${wanted#*$'\n'}
	echo "$(basename "$0"): fetching $package (not installing it)" >&2
	rm -rf "$new"
	mkdir -p "$new"
	(cd "$new" && apt-get -qq download "$package" 2>apt.log) ||
		die "cannot download $package: $(tail -n 1 "$new/apt.log")"
	file=$(echo "$new"/*.deb)
	# shellcheck disable=SC2046,SC2086 # one word a pattern
	dpkg-deb --fsys-tarfile "$file" |
		tar -x -C "$new" --wildcards --transform 's,.*/,,' './boot/vmlinuz-*' \
			$(printf '*/kernel/*/%s.ko ' $modules)
	rm -f "$file"
	mv "$new"/vmlinuz-* "$new/vmlinuz"
	echo "$modules" >"$new/modules"
	echo "$package" >"$new/package"
	rm -rf "$cache/kernel"
	mv "$new" "$cache/kernel"
}

# make_initramfs FILE INIT MODULES [SCRIPT]: unless FILE is newer than what it is made of. SCRIPT is a
# command more in it.
make_initramfs() {
	local file=$1 init=$2 modules=$3 script=${4:-$2} work module
	[ "$file" -nt "$init" ] && [ "$file" -nt "$script" ] && [ "$file" -nt "$here/kernel.sh" ] &&
		[ "$file" -nt "$cache/kernel/package" ] && return
	need busybox cpio objcopy
	work=$(mktemp -d)
	mkdir -p "$work/bin" "$work/modules"
	cp "$(command -v busybox)" "$work/bin/busybox"
	ln -s busybox "$work/bin/sh"
	cp "$init" "$work/init"
	chmod 755 "$work/init"
	if [ "$script" != "$init" ]; then
		cp "$script" "$work/bin/load_kvm"
		chmod 755 "$work/bin/load_kvm"
	fi
	for module in $modules; do
		# Without the signature: an emulated processor takes seconds to verify one.
		objcopy "$cache/kernel/$module.ko" "$work/modules/$module.ko" ||
			die "the kernel package has no $module"
		echo "$module" >>"$work/modules/order"
	done
	(cd "$work" && find . | cpio --quiet -o -H newc) >"$file.new"
	mv "$file.new" "$file"
	rm -rf "$work"
}

# prepare_kernel FILE INIT MODULES [SCRIPT]: kernel and initramfs are there. Two hosts may be started
# at once.
prepare_kernel() {
	mkdir -p "$cache"
	(
		flock 9
		unpack_kernel
		make_initramfs "$@"
	) 9>"$cache/lock"
}
