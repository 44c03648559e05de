# An address that is none.
nestmig snapshot --host none --qmp tcp:localhost x.nms; nestmig snapshot --host none --qmp dev1.qemu x.nms; nestmig snapshot --host none --qmp "" x.nms
