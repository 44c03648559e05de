# Every vCPU is judged.
nestmig validate --host host.json dev2.qemu
