# Two findings: the outcome is that of the earlier stage.
poke full1.nms a.nms vcpu0.sregs.cs.db 1; poke a.nms bad.nms vcpu0.vmcb12.control.asid 0; nestmig validate bad.nms
