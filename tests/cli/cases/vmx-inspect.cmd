# What is in a VMCS12, decoded.
nestmig inspect vmx
