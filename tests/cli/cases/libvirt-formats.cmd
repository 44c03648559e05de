# Every format that libvirt writes gives what the stream itself gives, but for the first line.
nestmig inspect full1.qemu | tail -n +2 >plain; for f in raw gzip bzip2 xz lzop zstd sparse; do save_image $f full1.qemu '<domain/>' >vm.save; nestmig inspect vm.save >got; head -n 1 got; sed -n '/^vCPU/,$p' got | cmp - plain; done
