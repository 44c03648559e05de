# Bold headings on a terminal, nothing in a pipe.
script -qec "nestmig inspect dev1.nms" /dev/null | sed -n 1,3p | cat -v
