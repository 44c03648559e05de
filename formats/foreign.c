// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Files of other VMMs, by their first bytes. Sources: Firecracker (below), QEMU dump/dump.c and
 * makedumpfile's diskdump_mod.h, VirtualBox SSM.cpp (SSMFILEHDR), VMware's header as Volatility's vmware
 * layer lists it.
 *
 * Firecracker's state file starts with a 64-bit number, little-endian in each of its encodings: versionize
 * (src/snapshot/src/lib.rs: the low 16 bits are the version of the format, 1), bincode
 * (src/vmm/src/snapshot/mod.rs: they are 0) and bitcode, in which the first column is that of the number
 * and a column of one number is stored as it is (bitcode's src/serde/ser.rs, src/pack_ints.rs). So the
 * bytes from the third on tell. None of the releases has nested state among a vCPU's (VcpuState of
 * src/vmm/src/arch/x86_64/vcpu.rs).
 */
#include "foreign.h"

#include <string.h>

#define FIRECRACKER                                                                                \
	"Firecracker's snapshots hold no nested state (no VMCS12 or VMCB12 of any vCPU): if the "  \
	"guest was running a guest of its own, that one is lost and what ran of it comes back as " \
	"if it were the outer guest, so there is nothing here to judge"
#define DUMP                                                                                       \
	"registers and memory for a debugger, without the nested state that a restore needs: "     \
	"take a full dump or a saved state instead (virsh save, or virsh dump without "            \
	"--memory-only)"
#define VMWARE "this is a VMware suspended state, which is not KVM's: nothing of it goes into KVM"

static const struct {
	size_t offset;
	const char *magic;
	size_t length;
	const char *reason;
} files[] = {
#define FILE_AT(offset, magic, reason)                                                             \
	{                                                                                          \
		offset, magic, sizeof(magic) - 1, reason                                           \
	}
#define FILE_(magic, reason) FILE_AT(0, magic, reason)
	FILE_AT(2, "\x64\x86\x84\x19\x10\x07", "this is a Firecracker state file: " FIRECRACKER),
	FILE_AT(2, "\xaa\xaa\x84\x19\x10\x07",
		"this is a Firecracker state file of an aarch64 guest, and nested guests of x86 "
		"alone "
		"are judged; " FIRECRACKER),
	FILE_("\x7f"
	      "ELF",
	      "this is an ELF file; if it is a dump of a guest's memory (virsh dump "
	      "--memory-only, dump-guest-memory), it has " DUMP),
	FILE_("KDUMP   ", "this is a kdump of a guest's memory: it has " DUMP),
	FILE_("makedumpfile", "this is a flattened kdump of a guest's memory: it has " DUMP),
	FILE_("\177VirtualBox Sav",
	      "this is a VirtualBox saved state, which is not KVM's: nothing of it goes into KVM"),
	FILE_("\xd0\xbe\xd2\xbe", VMWARE),
	FILE_("\xd1\xba\xd1\xba", VMWARE),
	FILE_("\xd2\xbe\xd2\xbe", VMWARE),
	FILE_("\xd3\xbe\xd3\xbe", VMWARE),
#undef FILE_
#undef FILE_AT
};

const char *nm_foreign_reason(const uint8_t *head, size_t size)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (size >= files[i].offset + files[i].length &&
		    memcmp(head + files[i].offset, files[i].magic, files[i].length) == 0)
			return files[i].reason;
	return NULL;
}
