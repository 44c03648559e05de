# Hosts of both vendors, with and without nesting: the reason in a line; one that is the same twice.
mkdir h; cp host.json h/a.json; cp host.json h/b.json; cp host-intel.json h/i.json; sed 's/"kvm_amd.nested":"1"/"kvm_amd.nested":"0"/' host.json >h/off.json; echo >h/notes; nestmig place --hosts h raw1 vmxdev1.qemu dev1.qemu
