# As JSON; of two vendors nothing fits.
nestmig host diff --json host.json host-intel.json | jq -c '.schema, .counts.blocks > 0, .differences[0], .unknown'
