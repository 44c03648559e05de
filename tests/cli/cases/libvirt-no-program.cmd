# No program is started to unpack: there is none in this PATH.
n=$(command -v nestmig); for p in gzip bzip2 xz lzop zstd; do save_image $p full1.qemu >$p.save; done; for p in gzip bzip2 xz lzop zstd; do PATH=/nothing "$n" inspect --field regs.rip $p.save; done
