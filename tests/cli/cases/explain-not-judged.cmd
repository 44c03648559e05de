# A condition of the catalogue that no rule judges.
nestmig explain svm-get-buffer && nestmig explain --json svm-get-buffer
