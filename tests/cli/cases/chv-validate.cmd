# cloud-hypervisor snapshots of L2s: nothing is unknown for a host that is known.
nestmig validate --host host.json ch-svm; nestmig validate --host host-intel.json ch-vmx
