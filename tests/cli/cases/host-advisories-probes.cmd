# Probes come first, whatever the version.
jq -c '.kernel = "7.3.0" | del(.facts) | .probes = {"failed-vmrun-gif": "set"}' host.json >new.json; nestmig host advisories new.json; echo $?; nestmig host advisories --strict --json host.json | jq -c '.schema, .counts, .advisories[0]'
