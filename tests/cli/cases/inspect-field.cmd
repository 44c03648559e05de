# One field, in as many digits as it is wide.
nestmig inspect --field vmcb12.control.asid raw1; nestmig inspect -f sregs.cr0 dev1.qemu; nestmig inspect -f sregs.cs.db full1.nms; nestmig inspect -f regs.rip dev1.qemu
