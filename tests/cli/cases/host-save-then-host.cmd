# Saved, then judged for.
nestmig host --root host --save h.json && nestmig validate --host h.json dev1.nms | sed -n 1,1p
