# The exit status is the highest, whatever the order.
poke full1.nms bad.nms vcpu0.vmcb12.control.asid 0; for f in "raw1 raw1" "raw1 bad.nms" "bad.nms raw1" "bad.nms missing" "missing bad.nms" "missing raw1"; do nestmig validate --json $f >/dev/null; echo "$f: $?"; done
