# virsh save in each format: the same L2, a little later each time.
for format in raw gzip bzip2 xz lzop; do container save.$format; nestmig inspect --json --field regs.r12 save.$format; done; nestmig validate save.lzop
