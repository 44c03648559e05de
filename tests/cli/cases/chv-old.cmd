# Before version 49 cloud-hypervisor saved no nested state: never ok.
sed -i 's/,\\"nested_state\\":\[[0-9,]*\]//' ch-svm/state.json; nestmig validate --host host.json ch-svm | cut -c 1-100; nestmig validate --strict --host host.json ch-svm >/dev/null
