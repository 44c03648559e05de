# --help of every subcommand.
each --help
