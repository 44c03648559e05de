# Standard output is not open at all.
nestmig rules >&-
