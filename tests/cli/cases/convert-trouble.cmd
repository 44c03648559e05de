# Wrong usage, and nothing is left of what failed.
nestmig convert dev1.qemu; nestmig convert dev1.qemu out; nestmig convert --to qcow2 dev1.qemu out; nestmig convert --memory dev1.qemu out.nms; head -c 9000 dev1.qemu >cut.qemu; nestmig convert cut.qemu out.nms; nestmig convert cut.qemu out/; nestmig convert l1only.qemu out/; nestmig convert --json dev1.qemu none/out.nms; ls -A | grep -i out
