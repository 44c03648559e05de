# A broken file in a tree: which, and where.
printf abc >host/kvm/supported_cpuid; nestmig host --root host; printf "KVM_CAP_NESTED_STATE x\n" >host/kvm/capabilities; nestmig host --json --root host
