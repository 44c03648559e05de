# The same for a host.
nestmig validate --host host.json dev1.qemu
