# Several files, text: an empty line between reports, the highest exit status.
nestmig validate raw1 missing l1only.qemu
