# CS.L and CS.D, found without knowing the host: L1 sees VMEXIT_INVALID.
poke full1.nms bad.nms vcpu0.sregs.cs.db 1; nestmig validate --host none bad.nms
