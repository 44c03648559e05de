# A byte of the VMCB12 that is none, and memory that ends too early.
sed -i 's/\\"nested_state\\":\[1,/\\"nested_state\\":[256,/' ch-svm/state.json; nestmig validate ch-svm; truncate -s 4096 ch-vmx/memory-ranges; nestmig validate --json ch-vmx
