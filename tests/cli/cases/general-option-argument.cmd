# Options whose argument is missing.
nestmig validate --host; nestmig inspect -f; nestmig host --root; nestmig snapshot -q
