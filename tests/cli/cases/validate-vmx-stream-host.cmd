# The same, for the host that it comes from.
nestmig validate --host host-intel.json vmx1.qemu
