# A guest with VMX, in L2: nested state, registers and VMCS12.
nestmig inspect vmx1.qemu
