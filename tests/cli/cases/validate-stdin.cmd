# Standard input: a file, a pipe, and not twice.
nestmig validate - <dev1.qemu | sed -n 1,1p; cat full1.nms | nestmig validate - | sed -n 1,1p; cat full1.qemu | nestmig inspect --field sregs.cr0 -; nestmig validate - - <dev1.qemu; echo junk | nestmig validate --json -; nestmig validate - </dev/null; cat dev1.qemu | TMPDIR=/nonexistent nestmig validate -
