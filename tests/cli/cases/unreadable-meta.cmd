# A raw dump whose meta.json is broken: the place in it.
printf "{\"vendor\": amd}" >raw1/meta.json; nestmig validate raw1
