# One field as JSON, with its place in the file.
nestmig inspect --field vmcb12.control.asid --json dev1.qemu; nestmig inspect --field sregs.efer --json full1.nms; nestmig inspect --vcpu 1 --field sregs.cr3 --json dev2.qemu
