# An option that no subcommand has.
each --frob
