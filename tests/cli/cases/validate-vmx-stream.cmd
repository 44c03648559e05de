# A guest with VMX, no host known.
nestmig validate vmx1.qemu
