# A field that does not exist.
nestmig inspect --field vmcb12.control.frob raw1; nestmig inspect --json --field "" raw1
