# Numbers that are none, or out of range.
nestmig snapshot -q s -l 20 f; nestmig snapshot -q s -l 1x f; nestmig snapshot -q s -t 0 f; nestmig restore -q s -t -1 f; nestmig restore -q s -w 99999999999999999999 f; nestmig inspect -c x dev1.qemu; nestmig inspect -c " 0" -f sregs.cr0 dev1.qemu; nestmig inspect -c +0 -f sregs.cr0 dev1.qemu; nestmig inspect -c -1 -f sregs.cr0 dev1.qemu
