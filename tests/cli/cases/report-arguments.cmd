# What report cannot do without, and what does not go together.
nestmig report full1.nms; nestmig report -o a.html; nestmig report -o a.html a b c; nestmig report --json -o - full1.nms; nestmig report --order x -o a.html full1.nms; ls *.html
