// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guests of both vendors share: where things are, and the code they execute. */
#ifndef RAWDUMP_GUEST_H
#define RAWDUMP_GUEST_H

#include <string.h>

#include "rawdump.h"

/* Guest physical addresses. The first page is L2's interrupt table where that is in real mode. */
#define ADDRESS_PML4 0x1000
#define ADDRESS_PDPT 0x2000
#define ADDRESS_PD   0x3000
#define ADDRESS_GDT  0x4000
#define ADDRESS_TSS  0x4100
#define ADDRESS_IDT  0x4200
/* 0x5000 to 0xbfff: the vendor's, see rawdump_svm_guest.c and rawdump_vmx.h */
#define ADDRESS_LEGACY_PD     0xc000
#define ADDRESS_LEGACY_PT     0xd000
#define ADDRESS_PAE_PDPT      0xe000 /* rawdump_guest_code.S knows it too */
#define ADDRESS_PAE_PD        0xf000
#define ADDRESS_CODE          0x10000
#define ADDRESS_NESTED_PML4   0x12000
#define ADDRESS_NESTED_PDPT   0x13000
#define ADDRESS_NESTED_PD     0x14000
#define ADDRESS_STACK         0x18000 /* its end; rawdump_guest_code.S knows it too */
#define ADDRESS_SMI_HANDLER   0x38000

#define PAGE_PRESENT_WRITE    0x3
#define PAGE_USER             0x4
#define PAGE_LARGE            0x80

#define CR0_PG_WP_NE_ET_MP_PE 0x80010033u
#define CR0_NE_ET             0x30u
#define CR4_OSXMMEXCPT_OSFXSR 0x600u
#define CR4_PAE               0x20u
#define EFER_LMA_LME          0x500u
#define DR7_RESET             0x400u
#define PAT_RESET             0x0007040600070406ull
#define RFLAGS_RESET          0x2u

#define SELECTOR_CODE64       8
#define SELECTOR_DATA         16
#define SELECTOR_TSS          24
#define SELECTOR_CODE32       40
#define TSS_LIMIT             103
#define TSS_LIMIT_PORTS       (TSS_LIMIT + 33) /* with a bit for each of the first 256 ports */
#define GDT_LIMIT             47
#define EXCEPTIONS            32

extern const uint8_t guest_code[], guest_code_end[], guest_smm[], guest_smm_end[];
extern const uint8_t guest_plain[], guest_plain_exceptions[];

/* Where L1 starts, L2's three widths, and the exception handlers of each. */
struct guest_entries {
	const uint8_t *l1, *l2_64, *l2_32, *l2_16;
	const uint8_t *exceptions_64, *exceptions_32, *exceptions_16;
};

static inline uint32_t offset_of(const uint8_t *code)
{
	return (uint32_t)(code - guest_code);
}

static inline void put64(uint8_t *memory, uint32_t address, uint64_t value)
{
	memcpy(memory + address, &value, sizeof(value));
}

/* The vendor's share of loading a guest. */
struct guest_vendor {
	const struct guest_entries *entries;
	uint64_t l1_efer; /* beside long mode */
	uint64_t l1_cr4;
	uint64_t l1_rax;
	/* what L1 needs in memory, and MSRs */
	int (*prepare)(const struct vm *vm, const struct guest *guest);
};

extern const struct guest_vendor svm_guest, vmx_guest;

/* 0, or -1 after saying that KVM does not take it */
int guest_set_msr(const struct vm *vm, uint32_t index, uint64_t value, const char *name);

#endif
