# A profile that is no JSON: its name and the place in it.
printf "{\"schema\": oops}" >h.json; nestmig validate --json --host h.json raw1
