# A stream cut short, at several places.
for n in 3 8 100 5000 20000 36000 36814; do head -c $n dev1.qemu >f; nestmig validate f; echo "cut at $n: exit status $?"; done
