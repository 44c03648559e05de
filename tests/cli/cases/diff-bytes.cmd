# Bytes that no field names; a vCPU list of MSRs; another vendor.
cp -r vmx other; patch other/vcpu0/nested_state 1200 77 78; nestmig diff vmx other; nestmig diff vmx raw1 | sed -n 1,30p; nestmig diff --json vmx raw1 | jq -c ".state.vendor,.changes_outcome"
