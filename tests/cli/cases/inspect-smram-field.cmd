# Single fields: SMRAM, the VMCB12 that it names, the host save area; where they stand; the bytes.
nestmig inspect --field smram.cr0 --json smm; nestmig inspect --field smram.cs.attributes smm; nestmig inspect --field smm_vmcb12.control.asid --json smm; nestmig inspect --field hsave.cr3 smm; nestmig inspect --raw smram smm | wc -c
