# More arguments than the subcommand takes.
nestmig rules x; nestmig host x; nestmig inspect dev1.qemu dev2.qemu; nestmig snapshot -q s a b; nestmig restore -q s a b
