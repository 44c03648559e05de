# What virsh dump writes with a compressed dump_image_format: a compressed stream and nothing else.
nestmig inspect full1.qemu | tail -n +2 >plain; for p in gzip bzip2 xz lzop zstd; do $p -c <full1.qemu >vm.dump; nestmig inspect vm.dump >got; head -n 1 got; tail -n +2 got | cmp - plain; done; zstd -qc dev1.qemu >dev; nestmig inspect dev | sed -n 1p
