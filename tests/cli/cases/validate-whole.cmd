# All of RAM is passed: the same verdict, and a stream behind another is found.
nestmig validate --whole full1.qemu | head -n 1; cat full1.qemu full1.qemu >two.qemu; nestmig validate --whole two.qemu
