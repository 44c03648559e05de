# An image with a revision id of Intel's: shown by that map, too; what RSM of KVM reads stays the same.
patch smm/mem/0 $((0x3fefc)) 00 01 03 00 && nestmig inspect --smram smm | grep -n -A 60 "Intel's map"; nestmig inspect --smram --json smm | jq -c ".vcpus[0].smram | [.map, .map_of_revision, (.by_map_of_revision | keys_unsorted | length), .by_map_of_revision.smbase]"
