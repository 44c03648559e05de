# The text of a vCPU in L2.
nestmig inspect dev1.qemu
