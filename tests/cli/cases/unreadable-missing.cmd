# No such file.
nestmig validate missing
