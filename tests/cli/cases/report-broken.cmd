# A page of a broken state: exit status 1, the finding, and the cell of its field.
poke full1.nms bad.nms vcpu0.sregs.cr0 0xa0010033; nestmig report -o page.html bad.nms; echo $?; grep -oE "<span class=.big b.>[^<]*|<p class=oc>.*|id=\"a0-r-svm-l2-cr0-cd-nw\"|<div id=\"a0-sregs.cr0\"><p><code>0x[0-9a-f]*" page.html
