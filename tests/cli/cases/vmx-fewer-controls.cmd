# A host without MSR bitmaps and unrestricted guest: L1 uses neither, but was offered both.
patch vmx/host_msrs 63 e7; patch vmx/host_msrs 95 e7; patch vmx/host_msrs 260 41 23; nestmig validate vmx
