# A raw dump: the field is in a file of its own.
patch raw1/vcpu0/nested_state $(offset raw1 vmcb12.control.asid) 00; nestmig validate raw1
