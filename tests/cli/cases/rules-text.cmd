# The table: a line a rule, sorted.
nestmig rules >r; head -n 1 r | tr -s " "; sed 1d r | cut -d" " -f1 | sort -c && echo sorted; [ $(sed 1d r | wc -l) = $(nestmig rules --json | wc -l) ] && echo "as many as in JSON"
