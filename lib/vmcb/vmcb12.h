/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a VMCB12, as it stands in the data of struct kvm_nested_state: KVMNS_VMCB_SIZE bytes,
 * little-endian, control area first, save area at VMCB12_SAVE. Needs no libc.
 *
 * vmcb12_<ident>(page) reads a field of layout.def: control fields have their own names
 * (vmcb12_asid), fields of the save area are vmcb12_save_<name>. A range gives a pointer to its
 * first byte instead.
 */
#ifndef NESTMIG_VMCB12_H
#define NESTMIG_VMCB12_H

#include "../bytes.h"

/* Page offsets of the two areas. */
#define VMCB12_CONTROL    0x000
#define VMCB12_SAVE       0x400

#define VMCB12_AT_control VMCB12_CONTROL
#define VMCB12_AT_save    VMCB12_SAVE

/* Page offset of each field: VMCB12_OFFSET_<ident>. */
enum vmcb12_offset {
#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	VMCB12_OFFSET_##ident = VMCB12_AT_##area + (offset),
#include "layout.def"
#undef VMCB_FIELD
};

#define VMCB_FIELD(area, offset, width, ident, name, in_blob)                                      \
	static inline uint64_t vmcb12_##ident(const uint8_t *page)                                 \
	{                                                                                          \
		return nm_le(page + VMCB12_OFFSET_##ident, width);                                 \
	}
#define VMCB_RANGE(area, offset, width, ident, name, in_blob)                                      \
	static inline const uint8_t *vmcb12_##ident(const uint8_t *page)                           \
	{                                                                                          \
		return page + VMCB12_OFFSET_##ident;                                               \
	}
#include "layout.def"
#undef VMCB_FIELD

/* Intercepts that rules ask about: bits of words 3 and 4 (APM volume 2, appendix "VMCB Layout"). */
#define VMCB12_INTERCEPT3_NMI       (UINT64_C(1) << 1)
#define VMCB12_INTERCEPT3_SMI       (UINT64_C(1) << 2)
#define VMCB12_INTERCEPT3_INIT      (UINT64_C(1) << 3)
#define VMCB12_INTERCEPT3_IOIO_PROT (UINT64_C(1) << 27)
#define VMCB12_INTERCEPT3_MSR_PROT  (UINT64_C(1) << 28)
#define VMCB12_INTERCEPT3_SHUTDOWN  (UINT64_C(1) << 31)
#define VMCB12_INTERCEPT4_VMRUN     (UINT64_C(1) << 0)

/* nested_ctl. */
#define VMCB12_NP_ENABLE (UINT64_C(1) << 0)
#define VMCB12_SEV       (UINT64_C(1) << 1)
#define VMCB12_SEV_ES    (UINT64_C(1) << 2)
#define VMCB12_GMET      (UINT64_C(1) << 3)

/* int_ctl. */
#define VMCB12_V_GIF_ENABLE (UINT64_C(1) << 25)
#define VMCB12_V_NMI_ENABLE (UINT64_C(1) << 26)
#define VMCB12_V_NMI_BITS   (UINT64_C(1) << 11 | UINT64_C(1) << 12 | VMCB12_V_NMI_ENABLE)

/* virt_ext. */
#define VMCB12_LBR_ENABLE (UINT64_C(1) << 0)

/* event_inj: vector 7:0, type 10:8, error code valid 11, valid 31. */
#define VMCB12_EVENT_EV      (UINT64_C(1) << 11)
#define VMCB12_EVENT_VALID   (UINT64_C(1) << 31)
#define VMCB12_EVENT_TYPE(x) ((unsigned)((x) >> 8 & 7))
#define VMCB12_TYPE_INTR     0
#define VMCB12_TYPE_NMI      2
#define VMCB12_TYPE_EXEPT    3
#define VMCB12_TYPE_SOFT     4

/* Segment attributes. */
#define VMCB12_ATTRIB_L  (UINT64_C(1) << 9)
#define VMCB12_ATTRIB_DB (UINT64_C(1) << 10)

/* Sizes of the permission maps in bytes. Bits 11:0 of their addresses are ignored. */
#define VMCB12_MSRPM_SIZE 0x2000
#define VMCB12_IOPM_SIZE  0x3000
#define VMCB12_PAGE_MASK  (~UINT64_C(0xfff))

#endif
