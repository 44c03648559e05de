# Two rules.
nestmig explain svm-ctl-asid-zero svm-l2-csld | grep -c "^What must hold"; nestmig explain --json svm-ctl-asid-zero svm-l2-csld | jq -r .id
