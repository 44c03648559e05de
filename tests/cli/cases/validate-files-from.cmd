# Names from a list: lines, NULs, standard input.
ls dev*.qemu >list; echo >>list; printf "%s\0" vmx1.qemu "vmxdev1.qemu" >nuls; nestmig validate --json -T list full1.nms | jq -c .file; nestmig validate --json --files-from nuls | jq -c .file; nestmig validate --json -T - <list | jq -c .file; nestmig validate -T none; (echo -; cat list) | nestmig validate -T -; : >empty; nestmig validate -T empty
