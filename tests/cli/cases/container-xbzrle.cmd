# Pages of RAM as differences (xbzrle): the device state behind them.
container xbzrle.qemu; nestmig validate xbzrle.qemu; nestmig inspect --field vmcb12.control.asid xbzrle.qemu
