# The snapshot of a qcow2 image, by name and by id.
nestmig validate --snapshot alpha vm.qcow2; nestmig validate -n 2 --json vm.qcow2
