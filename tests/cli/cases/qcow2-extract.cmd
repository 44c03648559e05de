# One of several snapshots in a qcow2 image as a stream and as an .nms.
container savevm.qcow2; nestmig extract --stream savevm.qcow2 | wc -c; nestmig extract --snapshot two --stream -o two.qemu savevm.qcow2; nestmig inspect --field regs.r12 two.qemu; nestmig convert --snapshot one savevm.qcow2 one.nms; nestmig inspect --field regs.r12 one.nms
