# An option before the subcommand.
nestmig --frob
