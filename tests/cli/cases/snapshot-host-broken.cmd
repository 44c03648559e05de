# A profile that is no JSON: the offset is one in the profile.
echo "{]" >h.json; nestmig snapshot --json --host h.json --qmp no.sock x.nms; nestmig restore --json --host h.json --qmp no.sock full1.nms
