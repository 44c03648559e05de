# One byte of a snapshot changed, at several places.
for n in 0 8 16 32 56 70 6000 10000 14550; do cp dev1.nms f; patch f $n 5a; nestmig validate --json f; echo "byte $n: exit status $?"; done
