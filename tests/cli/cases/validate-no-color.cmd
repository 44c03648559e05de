# NO_COLOR on a terminal; set but empty it counts as not set.
NO_COLOR=1 script -qec "nestmig validate dev1.nms" /dev/null | sed -n 1,2p | cat -v; NO_COLOR= script -qec "nestmig validate dev1.nms" /dev/null | sed -n 1,2p | cat -v
