# The remark is in the JSON, too.
nestmig validate --json --host host.json ch-svm; nestmig inspect --json ch-vmx | jq "{format, vendor, remark}"
