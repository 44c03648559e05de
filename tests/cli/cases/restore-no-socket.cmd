# No socket there.
nestmig restore --host none --qmp no.sock full1.nms
