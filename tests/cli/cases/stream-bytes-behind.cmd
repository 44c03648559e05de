# Bytes behind the end of a stream; zeros to a multiple of 512 bytes are what O_DIRECT pads with.
for bytes in 1 512 1000; do cp full1.qemu long.qemu && truncate -s +$bytes long.qemu && nestmig validate long.qemu; done; truncate -s %512 full1.qemu && nestmig validate full1.qemu | head -n 1; printf "}" >>dev1.qemu; nestmig validate dev1.qemu
