# A rule explained.
nestmig explain svm-ctl-asid-zero
