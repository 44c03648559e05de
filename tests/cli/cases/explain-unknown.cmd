# A rule that does not exist; the others are explained all the same.
nestmig explain --json svm-ctl-asid-zera svm-ctl-asid-zero | jq -c "[.schema, .id]"; exit ${PIPESTATUS[0]}
