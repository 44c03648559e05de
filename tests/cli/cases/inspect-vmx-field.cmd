# One field of a VMCS12, and where it stands.
nestmig inspect --field vmcs12.guest_rip vmx1.qemu; nestmig inspect --json --field vmcs12.guest_rip vmx1.qemu; nestmig inspect --field vmcb12.save.rip vmx1.qemu
