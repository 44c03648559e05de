# Compressed files that hold something else, a damaged one, and one in which the stream is cut.
for p in gzip bzip2 xz lzop zstd; do echo text | $p -c >text; nestmig inspect text; done; head -c 700000 full1.qemu | gzip -c >cut; nestmig inspect cut; gzip -c full1.qemu >sum; patch sum $(($(stat -c %s sum) - 8)) 00 00; nestmig inspect sum 2>&1 | sed 's/byte [0-9]*/byte N/'
