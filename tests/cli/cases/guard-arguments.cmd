# What cannot be asked of guard; nothing is loaded here.
for a in "" start "run install" "status --mode audit" "remove --metrics f" "install --metrics f" "run --mode deny" "run --rate x" "run --rate 1000001"; do nestmig guard $a; echo "$a: $?"; done
