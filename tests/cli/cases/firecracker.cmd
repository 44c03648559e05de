# Firecracker saves no nested state: it says so, and why that matters. Two of its encodings.
printf '\0\0\x64\x86\x84\x19\x10\x07\x06\0\0\0' >vmstate; nestmig validate --json vmstate; printf '\1' | dd of=vmstate conv=notrunc status=none; nestmig inspect vmstate
