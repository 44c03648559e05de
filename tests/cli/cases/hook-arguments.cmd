# Wrong usage.
nestmig hook; nestmig hook frob; nestmig hook install more; nestmig hook remove --program x; nestmig hook status --host host.json; nestmig hook install --root r --program nestmig; nestmig hook install --root r --program "/a b"; [ ! -e r ]
