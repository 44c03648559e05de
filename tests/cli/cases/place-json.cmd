# One line a state; --jobs changes nothing.
mkdir h; cp host.json h/a.json; cp host-intel.json h/i.json; nestmig place --json -H h raw1 vmx dev2.qemu | tee one; nestmig place --json -J 3 -H h raw1 vmx dev2.qemu | cmp - one
