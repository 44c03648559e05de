# Colours on a terminal.
script -qec "nestmig validate dev1.nms" /dev/null | sed -n 1,3p | cat -v
