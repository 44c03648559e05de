# A snapshot.
nestmig inspect full1.nms | sed -n 1,12p
