# All of the XML; what a terminal would obey is escaped. Other files have none.
save_image raw full1.qemu "$(printf '<domain>\n  <name>a\033[2Jb\302\2331mc</name>\n</domain>')" '<cookie/>' >vm.save; nestmig inspect --xml vm.save; nestmig inspect --xml --json vm.save; nestmig inspect --xml full1.qemu; echo $?; nestmig inspect --xml --smram vm.save; echo $?
