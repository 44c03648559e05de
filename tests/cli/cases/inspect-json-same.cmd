# JSON: the same state in two formats gives the same fields.
for f in dev1.qemu dev1.nms; do nestmig inspect --json $f | jq -S . >$f.json; done; diff dev1.qemu.json dev1.nms.json
