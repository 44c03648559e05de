# No rule named.
nestmig explain; nestmig explain --json
