# virsh dump in each format: a bare stream.
for format in raw gzip bzip2 xz lzop; do container dump.$format; nestmig inspect --json --field regs.r12 dump.$format; done; nestmig validate dump.xz
