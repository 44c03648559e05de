# JSON: schema, names and some values.
nestmig inspect --json full1.nms | jq -c "[.schema, .file, .format, (.vcpus | length), .vcpus[0].mode], (.vcpus[0] | keys_unsorted)"
