# A name that is not UTF-8 gives valid JSON.
f=$(printf "a\377b"); cp raw1/meta.json "$f"; nestmig validate --json "$f" | jq -c .; cp dev1.nms "$f"; nestmig validate --json "$f" | jq -c .file; nestmig inspect --json "$f" | jq -c .file
