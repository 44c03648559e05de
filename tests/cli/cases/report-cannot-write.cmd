# A page that cannot be written.
mkdir d; nestmig report -o d full1.nms; nestmig report --json -o no/page.html full1.nms; nestmig report -o - full1.nms >/dev/full
