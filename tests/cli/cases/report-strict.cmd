# An unknown verdict counts with --strict.
nestmig report -o a.html dev1.qemu; echo $?; nestmig report --strict --host none -o a.html dev1.qemu
