# A name that looks like an option.
cp dev1.nms -- --strict; nestmig validate -- --strict | sed -n 1,1p
