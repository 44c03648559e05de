# A snapshot without memory: what needs memory is unknown.
nestmig validate dev1.nms
