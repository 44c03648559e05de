# Options that do not go together.
nestmig inspect --field sregs.cr0 --raw sregs dev1.qemu; nestmig inspect --vcpu 0 dev1.qemu; nestmig inspect --raw sregs --json dev1.qemu; nestmig inspect --fields dev1.qemu; nestmig inspect --smram --field sregs.cr0 dev1.qemu
