# A dump from real kvm_intel: nothing is wrong for the host that made it, and nothing unknown.
nestmig validate vmx; nestmig validate --json vmx
