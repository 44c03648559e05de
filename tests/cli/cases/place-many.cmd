# More hosts than a line of the table names.
mkdir h; for i in 01 02 03 04 05 06 07 08 09 10 11; do cp host.json h/$i.json; done; nestmig place --hosts h --order selftests raw1; nestmig place --hosts h --json raw1 | jq -c .placements
