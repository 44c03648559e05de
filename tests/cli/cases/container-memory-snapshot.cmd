# External snapshots of memory and a managed save.
container memory-snapshot.raw memory-snapshot-live.lzop managedsave.gzip; nestmig validate --json memory-snapshot.raw memory-snapshot-live.lzop managedsave.gzip
