# Every line is JSON of the schema.
nestmig validate --json raw1 dev1.nms dev2.qemu missing | jq -c "[.schema, .file, .verdict, .error, (.vcpus | length)]"
