# Streams in the forms that QEMU has: each is read.
nestmig validate tcg-*.qemu | grep -v "^  "
