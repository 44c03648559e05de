# What the container does not hold is said on the page, too.
nestmig report -o - ch-vmx | grep -o "<dt>Note<dd>.*"
