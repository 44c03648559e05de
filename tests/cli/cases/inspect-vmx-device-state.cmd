# The same guest a moment earlier, without its RAM: the VMCS12 is in the nested state.
nestmig inspect --json vmxdev1.qemu | jq -c "[.format, .vendor, .vcpus[0].mode, .vcpus[0].fields[\"nested_state.vmcs12_pa\"].value, .vcpus[0].fields[\"vmcs12.vm_exit_reason\"].value]"
