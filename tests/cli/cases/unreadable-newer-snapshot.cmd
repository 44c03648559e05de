# A snapshot of a later major version (its header checksum is wrong then, too).
patch dev1.nms 8 02; nestmig inspect dev1.nms
