# Reasons not to read an image.
patch vm.qcow2 79 02; nestmig validate -n alpha vm.qcow2; patch vm.qcow2 79 04; nestmig validate -n alpha vm.qcow2; patch vm.qcow2 79 00; truncate -s 600K vm.qcow2; nestmig validate --json -n beta vm.qcow2
