# A flipped bit in the chunk that holds the device state is found either way.
patch full1.nms 50000 55; nestmig validate full1.nms; echo "exit status: $?"; nestmig validate --skip-ram full1.nms
