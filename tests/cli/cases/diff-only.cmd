# vCPUs, items and the state as a whole that only one side has.
nestmig diff dev2.qemu dev1.qemu; nestmig diff l1only.qemu full1.qemu | sed -n 1,40p
