# No socket there.
nestmig snapshot --host none --qmp no.sock x.nms; ls x.nms
