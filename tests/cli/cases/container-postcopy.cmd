# What went over the socket of a postcopy migration: the device state is in a package.
container postcopy.captured; nestmig validate postcopy.captured; nestmig inspect --json --field regs.rip postcopy.captured
