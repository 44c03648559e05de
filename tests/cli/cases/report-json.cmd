# What was written, as JSON.
nestmig report --json --host host.json -o page.html dev1.qemu | jq -c "{schema, output, findings, whole: (.bytes == $(nestmig report --host host.json -o - dev1.qemu | wc -c))}"
