# The same input makes the same page.
nestmig report -o a.html vmx; nestmig report -o b.html vmx; cmp a.html b.html && echo same
