# What a guest of one host loses on another: nested paging switched off. The other way round nothing is lost.
jq -c '.params."kvm_amd.npt" = "N" | .kernel = "6.1.0-30-amd64"' host.json >b.json; nestmig host diff host.json b.json; echo $?; nestmig host diff b.json host.json; echo $?; nestmig host diff host host.json
