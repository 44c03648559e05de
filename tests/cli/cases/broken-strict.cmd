# A finding counts once, strict or not.
poke full1.nms bad.nms vcpu0.vmcb12.control.asid 0; nestmig validate --strict --json bad.nms | jq -c "[.verdict, .vcpus[0].outcome, (.vcpus[0].findings | length)]"; exit ${PIPESTATUS[0]}
