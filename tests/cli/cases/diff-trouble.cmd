# A file that is not there; one file; three; a profile that is not there.
nestmig diff dev1.qemu none.qemu; nestmig diff dev1.qemu; nestmig diff dev1.qemu dev1.qemu dev1.qemu; nestmig diff --json --host none.json dev1.qemu dev1.qemu
