# The same as JSON.
poke full1.nms bad.nms vcpu0.vmcb12.control.asid 0; nestmig validate --json bad.nms
