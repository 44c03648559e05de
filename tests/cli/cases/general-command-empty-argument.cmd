# A file with no name.
each "" 2>&1 | grep -v explain
