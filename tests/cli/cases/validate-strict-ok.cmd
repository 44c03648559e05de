# Strict: nothing counts, nothing is found.
nestmig validate --strict raw1
