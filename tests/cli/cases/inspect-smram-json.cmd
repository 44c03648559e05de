# The same as JSON: what is in it, and some values.
nestmig inspect --smram --json smm | jq -c "[.schema, .format], (.vcpus[0] | keys_unsorted), (.vcpus[0].smram | keys_unsorted), (.vcpus[0].smram | [.state, .address, .map, .map_known_by, .map_of_revision, .fields.cr0, .fields.svm_guest_vmcb, .segments.cs, .vmcb12[\"control.asid\"]])"
