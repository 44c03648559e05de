# A qcow2 image with several snapshots: which one must be said.
nestmig validate vm.qcow2
