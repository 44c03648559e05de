# JSON: one document a file, keys in this order.
nestmig validate --json raw1 full1.nms dev2.qemu l1only.qemu
