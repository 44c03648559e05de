# One stream behind another: QEMU would load the first.
cat vmx1.qemu full1.qemu >two.qemu && nestmig validate two.qemu
