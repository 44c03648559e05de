# The two snapshots differ in AX, which the guest counts.
for n in alpha beta; do nestmig inspect --snapshot $n --field regs.rax vm.qcow2; done; nestmig inspect --snapshot gamma vm.qcow2
