# All vCPUs are shown.
nestmig inspect dev2.qemu | grep -a vCPU
