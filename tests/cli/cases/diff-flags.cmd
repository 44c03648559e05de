# Names of bits on both sides; the host of B.
cp -r raw1 other; patch other/vcpu0/sregs2 224 32; nestmig diff raw1 other
