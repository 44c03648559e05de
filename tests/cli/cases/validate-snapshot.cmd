# A full snapshot is judged for its source host.
nestmig validate full1.nms
