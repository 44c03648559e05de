# The text of a vCPU that never used SVM.
nestmig inspect l1only.qemu
