# No page of a file that cannot be read: what was there stays.
echo old >page.html; nestmig report --json -o page.html full1.nms missing; echo $?; cat page.html; ls *.html*
