# A file and itself: no difference.
nestmig diff dev1.qemu dev1.qemu; nestmig diff --json raw1 raw1
