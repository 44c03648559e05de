# One of two vCPUs is broken, in a device-only stream.
patch dev2.qemu $(nestmig inspect --json --vcpu 1 --field vmcb12.control.asid dev2.qemu | jq .offset) 00 00 00 00; nestmig validate --host host.json dev2.qemu
