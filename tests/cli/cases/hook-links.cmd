# Below --root no directory may be a link: what it leads to stays as it is.
mkdir -p r/etc/libvirt other/qemu.d; ln -s "$PWD/other" r/etc/libvirt/hooks; for a in install status remove; do nestmig hook $a --root r; echo $?; done; find other; rm r/etc/libvirt/hooks; mkdir r/etc/libvirt/hooks; ln -s ../../../other r/etc/libvirt/hooks/qemu.d; nestmig hook install --root r --json; find other
