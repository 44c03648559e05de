# A vCPU that is not there.
nestmig inspect --vcpu 1 --field sregs.cr0 dev1.qemu; nestmig inspect --vcpu 2 --field sregs.cr0 --json dev2.qemu
