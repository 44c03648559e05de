# The same as JSON.
nestmig snapshot --host none --json --qmp no.sock x.nms
