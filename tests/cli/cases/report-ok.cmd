# A page of a state that resumes: what it says first, and that it is whole.
nestmig report -o page.html full1.nms; echo $?; grep -c "<span class=\"big h\">✓ ok</span>" page.html; tail -n 1 page.html; stat -c %a page.html
