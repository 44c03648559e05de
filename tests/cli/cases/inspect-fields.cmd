# The list of fields: unique and well formed.
nestmig inspect --json --fields | jq -r ".schema, .fields[0]"; nestmig inspect --fields | sort | uniq -d; nestmig inspect --fields | grep -vxE "[a-z0-9_]+(\.[a-z0-9_]+)*"
