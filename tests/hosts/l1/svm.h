// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of AMD's VMCB that the test hypervisor fills in.
 *
 * Offsets: AMD64 APM volume 2, appendix B "Layout of VMCB".
 */
#ifndef L1_SVM_H
#define L1_SVM_H

#include <stddef.h>
#include <stdint.h>

/* APM volume 2, appendix C "SVM Intercept Exit Codes" */
#define VMEXIT_CPUID    0x72
#define VMEXIT_SHUTDOWN 0x7f
#define VMEXIT_VMMCALL  0x81

/* APM volume 2, 15.9 "Instruction Intercepts": bits of the words at 0x00c and 0x010 */
#define INTERCEPT3_CPUID    (1u << 18)
#define INTERCEPT3_HLT      (1u << 24)
#define INTERCEPT3_SHUTDOWN (1u << 31)
#define INTERCEPT4_VMRUN    (1u << 0)
#define INTERCEPT4_VMMCALL  (1u << 1)

/* APM volume 2, 15.25.3 "Enabling Nested Paging": bit 0 of the quadword at 0x090 */
#define NESTED_CTL_NP_ENABLE 1u

/*
 * Segment attributes as the VMCB packs them: descriptor bits 40-47 and 52-55
 * (APM volume 2, 15.5.1 "Basic Operation", "Segment State in the VMCB").
 */
#define ATTRIB_CODE64 0xa9b
#define ATTRIB_CODE32 0xc9b
#define ATTRIB_CODE16 0x09b
#define ATTRIB_DATA   0xc93
#define ATTRIB_DATA16 0x093
#define ATTRIB_TSS64  0x08b

struct vmcb_segment {
	uint16_t selector;
	uint16_t attrib;
	uint32_t limit;
	uint64_t base;
} __attribute__((packed));

struct vmcb {
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exceptions;
	uint32_t intercept3;
	uint32_t intercept4;
	uint8_t unused_014[0x040 - 0x014];
	uint64_t iopm_base_pa;
	uint64_t msrpm_base_pa;
	uint64_t tsc_offset;
	uint32_t asid;
	uint32_t tlb_control;
	uint8_t unused_060[0x070 - 0x060];
	uint64_t exit_code;
	uint64_t exit_info1;
	uint64_t exit_info2;
	uint64_t exit_int_info;
	uint64_t nested_ctl;
	uint8_t unused_098[0x0b0 - 0x098];
	uint64_t nested_cr3;
	uint8_t unused_0b8[0x400 - 0x0b8];

	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t unused_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t unused_4cc;
	uint64_t efer;
	uint8_t unused_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t unused_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t unused_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint8_t unused_600[0x640 - 0x600];
	uint64_t cr2;
	uint8_t unused_648[0x668 - 0x648];
	uint64_t g_pat;
	uint8_t unused_670[0x1000 - 0x670];
} __attribute__((packed));

_Static_assert(offsetof(struct vmcb, exit_code) == 0x070, "VMCB layout");
_Static_assert(offsetof(struct vmcb, nested_cr3) == 0x0b0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, tr) == 0x490, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB layout");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "VMCB layout");
_Static_assert(sizeof(struct vmcb) == 0x1000, "a VMCB is one page");

#endif
