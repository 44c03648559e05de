# A vmdesc that is cut: not even a byte of it may be missing.
for cut in 1 1000; do head -c -$cut full1.qemu >cut.qemu && nestmig validate cut.qemu; done
