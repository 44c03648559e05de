# The same as JSON: one line.
nestmig validate --json missing; nestmig inspect --json missing
