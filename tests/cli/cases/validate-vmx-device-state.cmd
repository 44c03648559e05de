# The same without RAM, for a host with AMD's processors.
nestmig validate --host host.json vmxdev1.qemu
