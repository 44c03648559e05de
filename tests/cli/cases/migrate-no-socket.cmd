# Nobody listens: an error, and nothing else.
nestmig migrate --qmp nowhere --dest-qmp nowhere-either --host none --json
