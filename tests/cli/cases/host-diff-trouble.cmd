# One host, none, no file, no profile.
nestmig host diff host.json; echo $?; nestmig host diff host.json missing.json; echo $?; nestmig host diff --json dev1.nms host.json; echo $?; nestmig host diff --save x host.json host.json; echo $?; nestmig host fly
