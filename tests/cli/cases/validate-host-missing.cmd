# A profile that is not there: said once, nothing is judged.
nestmig validate --host missing.json raw1 dev1.nms
