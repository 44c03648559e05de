# A full QEMU stream: memory is there, the guest's CPUID is not.
nestmig validate --host host.json full1.qemu
