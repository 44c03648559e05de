# As JSON: what is saved and what is printed are the same.
nestmig host --root host --json | cmp - host.json && nestmig host --root host --save new.json && cmp new.json host.json && stat -c %a new.json && ls -A | grep -c "new.json."
