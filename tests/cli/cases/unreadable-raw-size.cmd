# A raw dump with a struct of a wrong size.
truncate -s 100 raw1/vcpu0/regs; nestmig validate raw1
