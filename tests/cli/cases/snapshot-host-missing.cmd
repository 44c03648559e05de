# A profile that is not there.
nestmig snapshot --host missing.json --qmp no.sock x.nms
