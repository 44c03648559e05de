# SMRAM of a vCPU whose L2 was interrupted: registers, segments, and where RSM goes back to.
nestmig inspect --smram smm
