# The reader goes away: an error, not a death by signal.
{ sleep 0.3; nestmig inspect --fields; echo "exit status: $?" >&2; } | true
