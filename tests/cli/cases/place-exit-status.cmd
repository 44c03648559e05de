# No host; none that is known; one: with several states the worst.
mkdir h i; cp host.json h/a.json; cp host-intel.json i/i.json; for a in "i raw1" "h dev1.qemu" "h dev1.qemu --strict" "h raw1 --strict" "h raw1 vmx" "h raw1 none"; do set -- $a; nestmig place --json --hosts "$@" 2>/dev/null | jq -c "[.schema,.file,.verdict]"; echo ${PIPESTATUS[0]}; done
