# A guest without long mode: the other map. EDX of leaf 0x80000001 loses bit 29.
cd smm && patch mem/0 $((0x3fefc)) 00 00 && rm vcpu0/cpuid && patch mem/0 $((0x3fffc)) 11 00 00 80 && patch mem/0 $((0x3ff90)) 00 9b cf 00 && nestmig inspect --smram . | head -n 40; nestmig inspect --field smram.efer .; nestmig inspect --field smram.cr0 --json .
