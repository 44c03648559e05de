# The same as JSON: nothing but one error line.
head -c 20000 dev1.qemu >f; nestmig validate --json f
