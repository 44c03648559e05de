# What a user who is not root is told, by each of the commands, and in JSON too.
for a in run install status remove "run --mode enforce --best-effort" "status --json"; do unprivileged nestmig guard $a; echo "$a: $?"; done; unprivileged nestmig top; echo "top: $?"
