# Bytes after the end.
printf x >>dev1.nms; nestmig validate dev1.nms; printf xxxxxxxx >>dev1.qemu; nestmig validate dev1.qemu
