# A misspelt subcommand.
nestmig valdate dev1.qemu
