# A password in a URI is not said again, neither in what an error is about nor in libvirt's words.
nestmig migrate --domain test --connect nowhere://me:secret@host.invalid/x --dest-connect test:///default --host none --json 2>&1 | grep -c secret; nestmig migrate --domain test --connect nowhere://me:secret@host.invalid/x --dest-connect test:///default --host none --json 2>/dev/null | jq -c .file
