# Names that are no ioctl of a restore.
nestmig validate --order SREGS,NESTED raw1; nestmig validate --json -o XSAVE raw1; nestmig validate --order
