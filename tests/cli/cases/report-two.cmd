# Two files: the verdict of each, and the one field that differs.
poke full1.nms bad.nms vcpu0.sregs.cr0 0xa0010033; nestmig report -o - full1.nms bad.nms | grep -oE "<span class=.big ..>[^<]*|<div class=.d .*|only in [AB]"
