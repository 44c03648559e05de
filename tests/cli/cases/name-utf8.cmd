# A name in UTF-8 is left alone.
cp raw1/meta.json zażółć; nestmig validate --json zażółć
