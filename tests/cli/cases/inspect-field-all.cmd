# Every field of the JSON is one that --fields lists.
nestmig inspect --json raw1 | jq -r ".vcpus[].fields | keys[]" | sort >a; nestmig inspect --fields | sort >b; comm -23 a b; [ -s a ] && echo "some fields"
