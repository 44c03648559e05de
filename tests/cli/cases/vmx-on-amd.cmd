# VMX state does not fit a host with SVM.
nestmig validate vmx --host host.json
