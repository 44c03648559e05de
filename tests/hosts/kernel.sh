# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Debian's kernel for the emulated hosts (to be sourced by host.sh and intel.sh): downloaded and
# unpacked into a cache, never installed.
#
# Environment: NESTMIG_HOST_CACHE, where it is kept (default build/hosts in the work tree).
# NESTMIG_KERNEL_SUITE, the suite of Debian whose kernel it is, e.g. bookworm-backports (default: the newest that
# this machine's apt knows). Each suite has a directory of its own in the cache; its kernel is looked for once, until
# the directory is removed.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
suite=${NESTMIG_KERNEL_SUITE:-}
cache=$(realpath -m "${NESTMIG_HOST_CACHE:-$tree/build/hosts}")${suite:+/$suite}
# shellcheck source=suite.sh
. "$here/suite.sh"

# In the order in which they are inserted, so that no dependency has to be resolved inside. KVM's are the first: libbpf
# looks through the types of one module after the other for each function.
AMD_MODULES="irqbypass kvm ccp kvm-amd
	virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
	netfs fscache 9pnet 9p 9pnet_virtio overlay
	failover net_failover virtio_net llc stp bridge tun"
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

# apt-get or apt-cache, of the suite.
suites_apt() {
	if [ -n "$suite" ]; then
		apt_of_suite "$cache/apt" "$suite" "$@"
	else
		"$@"
	fi
}

newest_kernel() {
	local package
	package=$(suites_apt apt-cache depends linux-image-amd64 |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$package" ] || die "apt knows no linux-image-amd64${suite:+ of $suite}: run apt-get update"
	echo "$package"
}

# The package that is to be in the cache.
wanted_kernel() {
	if [ -z "$suite" ]; then
		newest_kernel
	elif [ -e "$cache/kernel/package" ]; then
		cat "$cache/kernel/package"
	else
		suites_apt apt-get -qq update || die "cannot get the package lists of $suite"
		newest_kernel
	fi
}

# What of a package's files is wanted: the kernel and those of the modules that it has. What is part of the kernel, or
# of another module, has no file.
wanted_files() {
	local modules
	modules=$(tr ' ' '|' <<<"$*")
	grep -E "/vmlinuz(-[^/]*)?\$|/kernel/.*/($modules)\\.ko(\\.xz)?\$"
}

# From 7.x on the package is an empty one that needs two others.
parts_of() {
	echo "$1"
	suites_apt apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-\(binary\|modules\)-.*\)/\1/p'
}

unpack_files() {
	local file=$1 new=$2
	shift 2
	dpkg-deb --fsys-tarfile "$file" | tar -t | wanted_files "$@" >"$new/files" || return 0
	dpkg-deb --fsys-tarfile "$file" | tar -x -C "$new" --transform 's,.*/,,' -T "$new/files"
}

# fetch_kernel PACKAGE DIR MODULES...
fetch_kernel() {
	local package=$1 new=$2 file
	shift 2
	echo "$(basename "$0"): fetching $package (not installing it)" >&2
	rm -rf "$new"
	mkdir -p "$new"
	# shellcheck disable=SC2046 # one word a package
	(cd "$new" && suites_apt apt-get -qq download $(parts_of "$package") 2>apt.log) ||
		die "cannot download $package${suite:+, remove $cache for a newer one}: $(tail -n 1 "$new/apt.log")"
	for file in "$new"/*.deb; do
		unpack_files "$file" "$new" "$@"
		rm -f "$file"
	done
	[ -e "$new/vmlinuz" ] || mv "$new"/vmlinuz-* "$new/vmlinuz"
	for file in "$new"/*.ko.xz; do
		[ ! -e "$file" ] || xz -d "$file"
	done
}

# field FILE OFFSET BYTES: a number in the header of the kernel
field() {
	od -An -t "u$3" -j $(($2)) -N "$3" "$1" | tr -d ' '
}

# The kernel proper, DIR/vmlinux.elf, out of its compressed image: Documentation/x86/boot.rst, payload_offset. Emulated
# processors take longer to unpack it than to boot it.
unpack_vmlinux() {
	local image=$1/vmlinuz magic unpack from
	from=$((($(field "$image" 0x1f1 1) + 1) * 512 + $(field "$image" 0x248 4)))
	magic=$(od -An -t x1 -j $from -N 4 "$image")
	case $magic in
	' fd 37 7a 58') unpack="xz -dc --single-stream" ;;
	' 28 b5 2f fd') unpack="zstd -dcq" ;;
	*) die "the kernel is packed with something unknown:$magic" ;;
	esac
	need "${unpack%% *}"
	# Four bytes with the size come after it.
	dd if="$image" bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$from \
		count=$(($(field "$image" 0x24c 4) - 4)) status=none |
		$unpack >"$1/vmlinux.elf" || die "cannot unpack the kernel"
}

unpack_kernel() {
	local package modules new=$cache/kernel.new
	need apt-cache apt-get dpkg-deb tar xz
	package=$(wanted_kernel) || exit
	# shellcheck disable=SC2086 # one word a module
	modules=$(printf '%s\n' $AMD_MODULES $INTEL_MODULES | sort -u)
	[ -e "$cache/kernel/vmlinux.elf" ] &&
		[ "$(cat "$cache/kernel/package" "$cache/kernel/modules" 2>/dev/null)" = "$package"$'\n'"$modules" ] && return
	# shellcheck disable=SC2086 # one word a module
	fetch_kernel "$package" "$new" $modules
	unpack_vmlinux "$new"
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
		[ -n "$suite" ] && [ ! -e "$cache/kernel/$module.ko" ] && continue
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
