# Several files.
nestmig inspect --field sregs.cr0 dev1.qemu vmx1.qemu none; nestmig inspect --json -J 2 dev1.qemu vmx raw1 | jq -c "[.file,.format]"; nestmig inspect dev1.qemu vmx1.qemu | grep -n -B1 "qemu:"; nestmig inspect --raw regs dev1.qemu dev2.qemu; nestmig inspect --json vmx | jq -c ".vcpus[0].memory[]"
