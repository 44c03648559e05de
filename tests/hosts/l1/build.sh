#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh OUTPUT [-DNESTED_PAGING=1] [-DSTUFF_AT=COUNT]: builds the test hypervisor that
# `qemu-system-x86_64 -kernel OUTPUT` boots. With a COUNT, when L2 has counted that far it is interrupted by an SMI
# whose handler has broken SMRAM for a quarter of a minute; that needs a firmware which leaves SMBASE alone.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh OUTPUT [-DNAME=VALUE...]" >&2; exit 2; }
output=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# No SSE, no red zone, no position independence: nothing sets up what those need.
for source in boot.S l1.c l2.S svm.c vmrun.S smm.S vmx.c vmx_enter.S; do
	${CC:-cc} -m64 -std=gnu11 -O2 -g0 -Wall -Wextra -Werror -ffreestanding -fno-pic \
		-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
		-mno-red-zone -mgeneral-regs-only "$@" -c "$here/$source" -o "$work/${source%.*}.o"
done
${LD:-ld} -m elf_x86_64 -nostdlib -static -z noexecstack --no-warn-rwx-segments \
	-T "$here/l1.ld" -o "$work/l1.elf64" \
	"$work/boot.o" "$work/l1.o" "$work/l2.o" "$work/svm.o" "$work/vmrun.o" "$work/smm.o" \
	"$work/vmx.o" "$work/vmx_enter.o"
# A multiboot loader takes a 32-bit ELF only, whatever mode the code switches to.
${OBJCOPY:-objcopy} -O elf32-i386 "$work/l1.elf64" "$output"
