# By what the package's changelog says; without it more is unknown.
cp -r "$CONTAINERS/../host-package/usr" host/; nestmig host advisories host; echo $?; nestmig host advisories host.json | head -n 1
