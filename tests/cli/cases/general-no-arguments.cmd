# Nothing asked for: the usage, as an error.
nestmig
