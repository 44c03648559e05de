# A device-only QEMU stream, no host known.
nestmig validate dev1.qemu
