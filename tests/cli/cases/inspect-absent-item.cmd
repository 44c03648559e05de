# A field and an item of the other vendor.
nestmig inspect --field vmcs12.guest_rip raw1; nestmig inspect --raw vmcs12 raw1; nestmig inspect --json --field vmcb12.control.asid l1only.qemu
