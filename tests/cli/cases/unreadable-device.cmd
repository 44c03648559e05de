# Not a regular file.
nestmig validate /dev/null
