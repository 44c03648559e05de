# A snapshot cut short, at several places.
for n in 7 31 32 40 100 6000 14000 14559; do head -c $n dev1.nms >f; nestmig validate f; echo "cut at $n: exit status $?"; done
