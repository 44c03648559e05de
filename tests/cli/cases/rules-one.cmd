# One rule of the list.
nestmig rules | grep "^svm-ctl-asid-zero "; nestmig rules --json | grep -F "\"svm-ctl-asid-zero\""
