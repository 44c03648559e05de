# A file of that name is replaced.
echo old >h.json; nestmig host --root host --save h.json && jq -r .schema h.json
