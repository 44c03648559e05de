# The same as JSON.
nestmig explain --json svm-ctl-asid-zero
