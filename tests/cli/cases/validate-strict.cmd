# Strict: unknown counts as a finding.
nestmig validate --strict dev1.qemu
