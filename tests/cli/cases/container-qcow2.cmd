# Two snapshots in a qcow2 image: which one has to be said.
container savevm.qcow2; nestmig validate savevm.qcow2; for name in one two three; do nestmig inspect --snapshot $name --json --field regs.r12 savevm.qcow2; done; nestmig validate --json --snapshot two savevm.qcow2
