# The list of subcommands.
nestmig --help; nestmig -h | cmp - <(nestmig help)
