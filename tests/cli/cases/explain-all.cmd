# Every rule can be explained.
nestmig rules --json | jq -r .id | xargs nestmig explain >/dev/null && nestmig rules --json | jq -r .id | xargs nestmig explain --json | jq -es "length > 0 and all(.schema == \"nestmig.explain/1\")"
