# CR0.NW without CD: KVM_SET_SREGS refuses.
poke full1.nms bad.nms vcpu0.sregs.cr0 0xa0010033; nestmig validate bad.nms
