# A second subsection cpu/nested_state: QEMU would load the last one.
{ head -c $((0x1803)) dev1.qemu; tail -c +$((0x7bf + 1)) dev1.qemu | head -c $((0x1803 - 0x7bf)); tail -c +$((0x1803 + 1)) dev1.qemu; } >twice.qemu && nestmig validate twice.qemu
