# The same as JSON, and what decides.
cp dev1.qemu broken.qemu; patch broken.qemu $(offset broken.qemu vmcb12.control.asid) 00 00 00 00; nestmig diff --host host.json --json dev1.qemu broken.qemu | tee json; jq -c ".vcpus[].values[] | select(.rules != [])" json
