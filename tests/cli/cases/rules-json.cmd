# JSON: every line has all keys, ids are unique and sorted.
nestmig rules --json >r; jq -e . r >/dev/null && jq -r .id r | sort -uc && echo sorted; jq -c keys_unsorted r | sort -u; jq -r .id r | grep -cvE "^[a-z0-9-]+$"
