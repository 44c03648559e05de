# A clock: not a difference, shown with --all.
cp -r raw1 other; i=$(xxd -p -c 16 raw1/vcpu0/msrs | grep -n ^10000000 | cut -d: -f1); patch other/vcpu0/msrs $((16 * (i - 1) + 8)) 77; nestmig diff raw1 other; nestmig diff --all raw1 other; nestmig diff --all --json raw1 other | jq -c ".same,.idle,.vcpus[0].values"
