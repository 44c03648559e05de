# Pages of RAM with zlib.
container zlib.qemu; nestmig validate --json zlib.qemu; nestmig inspect --field nested_state.vmcb_pa zlib.qemu
