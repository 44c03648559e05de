# An explicit host wins, also none.
nestmig validate --host host.json raw1; nestmig validate --host none raw1
