# A profile of a newer schema.
jq -c ".schema = \"nestmig.host/9\"" host.json >h.json; nestmig validate --host h.json raw1
