# A host whose kvm_amd has nested=0.
jq -c ".params[\"kvm_amd.nested\"] = \"0\"" host.json >off.json; nestmig validate --host off.json dev1.nms
