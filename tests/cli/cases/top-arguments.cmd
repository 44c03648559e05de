# What cannot be asked of top.
for a in x "--delay 0" "--delay 1.5" "--count 0" "--count -1"; do nestmig top $a; echo "$a: $?"; done
