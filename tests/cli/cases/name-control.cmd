# A name with a newline and an escape sequence never reaches the terminal as it is.
f=$(printf "a\nb\033[31mc"); cp dev1.nms "$f"; nestmig validate "$f" | sed -n 1,1p; nestmig validate --json "$f" | jq -c .file; : >"$f"; nestmig validate --json "$f"; cp -r raw1 "$f.d"; nestmig validate "$f.d"
