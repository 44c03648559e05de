# ASID 0: KVM_SET_NESTED_STATE refuses.
poke full1.nms bad.nms vcpu0.vmcb12.control.asid 0; nestmig validate bad.nms
