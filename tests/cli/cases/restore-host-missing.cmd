# A profile that is not there.
nestmig restore --host missing.json --qmp no.sock full1.nms
