# A raw dump without nested_state of its vCPU: what needs it is unknown.
rm raw1/vcpu0/nested_state; nestmig validate raw1
