# Only a qcow2 image has snapshots inside.
nestmig inspect --snapshot alpha dev1.qemu; nestmig validate --json --snapshot alpha ch-svm
