# An AMD state for an Intel host.
jq -c ".vendor = \"intel\"" host.json >intel.json; nestmig validate --host intel.json dev1.nms
