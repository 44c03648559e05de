# An empty subcommand.
nestmig ""
