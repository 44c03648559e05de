# The bytes of an item, the same from every format.
for f in dev1.qemu dev1.nms; do nestmig inspect --raw vmcb12 $f | sha256sum; done; nestmig inspect --raw vmcb12 --vcpu 1 dev2.qemu | wc -c; cat <(nestmig inspect --raw nested_state raw1) <(nestmig inspect --raw vmcb12 raw1) | cmp - raw1/vcpu0/nested_state
