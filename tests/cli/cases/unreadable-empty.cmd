# An empty file.
: >f; nestmig validate f; nestmig inspect --json f
