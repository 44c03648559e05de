# One field of two differs by which a rule is broken; the other is only different.
cp dev1.qemu broken.qemu; patch broken.qemu $(offset broken.qemu vmcb12.control.asid) 00 00 00 00; patch broken.qemu $(offset broken.qemu regs.rax) 11; nestmig diff --host host.json dev1.qemu broken.qemu
