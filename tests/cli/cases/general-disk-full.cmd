# What cannot be written to standard output is an error, however short.
for a in --version --help rules "rules --json" "explain svm-ctl-asid-zero" "validate raw1" "validate --json raw1" "inspect raw1" "inspect --raw vmcb12 raw1" "inspect --fields" "host --root host" "validate --help"; do nestmig $a >/dev/full; echo "$a: $?"; done
