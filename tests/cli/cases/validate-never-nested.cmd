# A VM that never used SVM.
nestmig validate l1only.qemu
