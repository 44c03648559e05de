# For node_exporter, Kubernetes and OpenStack; each as it is saved, too.
for f in openmetrics nfd nova; do nestmig host --root host --format $f; nestmig host --root host --format $f --save out.$f && nestmig host --root host --format $f | cmp - out.$f; done; nestmig host --root host --format json | cmp - host.json; nestmig host --root host --format yaml
