# What snapshot and restore cannot do without.
nestmig snapshot x.nms; nestmig snapshot --qmp s; nestmig restore dev1.nms; nestmig restore --qmp s
